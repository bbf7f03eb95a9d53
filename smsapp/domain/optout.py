"""Which replies mean "do not write to me again"."""

from __future__ import annotations

import enum
import re
import unicodedata


class OptOutSource(enum.StrEnum):
    """Who put a number on the list."""

    REPLY = "reply"
    PROVIDER = "provider"
    PERSON = "person"
    IMPORT = "import"


class Confirmation(enum.StrEnum):
    """What became of the text that tells a person that the opt-out was understood; there is one at most."""

    NONE = ""
    DUE = "due"
    UNCONFIRMED = "unconfirmed"
    """It left, or may have: nobody sends it again."""
    SENT = "sent"
    FAILED = "failed"


CHINA = ("r", "t", "td", "n", "qx", "退订", "退訂", "退定", "拒收", "取消", "取消订阅", "取消訂閱")
"""What carriers and providers in China ask people to text; 退定 is the usual slip for 退订."""
ABROAD = (
    *("stop", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "optout", "remove", "removeme"),
    *("arret", "arrêt"),
)
"""What carriers elsewhere act on by themselves."""

_WORD = "|".join(sorted((*CHINA, *ABROAD), key=len, reverse=True))
_REFUSE = "退订|退訂|退定|拒收"
_WHOLE = re.compile(
    f"(?:请?回复?)?(?:{_WORD})"  # T, 回T, 请回复TD
    f"|回复?(?:r|t|td|n)(?:{_REFUSE})"  # 回T退订: the words of our own texts, copied
    f"|(?:{_REFUSE})(?:请?回复?)?(?:r|t|td|n)"  # 退订回T, 拒收请回复R, 退订T
    f"|(?:r|t|td|n)(?:{_REFUSE})"  # TD退订
    f"|(?:请|我要)?(?:{_REFUSE})(?:短信)?"
)
_DROPPED = frozenset({"Cc", "Cf", "Mn", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sk", "So", "Zl", "Zp", "Zs"})
"""Unicode categories without a say: punctuation, spaces, invisible marks, emoji. Not letters, digits or + < =."""


def is_opt_out(text: str) -> bool:
    """Return whether this reply, as a whole, asks not to be written to again.

    Compared after NFKC (full-width letters), without case, punctuation, spaces and emoji; never a part of a sentence:
    "不要退订" and "T恤还有吗" are conversation.
    """
    letters = unicodedata.normalize("NFKC", text).casefold()
    said = "".join(letter for letter in letters if letter != "~" and unicodedata.category(letter) not in _DROPPED)
    return _WHOLE.fullmatch(said) is not None
