"""Recognises replies that are opt-outs."""

from __future__ import annotations

import enum
import re
import unicodedata


class OptOutSource(enum.StrEnum):
    """How a number was added to the opt-out list."""

    REPLY = "reply"
    PROVIDER = "provider"
    PERSON = "person"
    IMPORT = "import"
    RESTORED = "restored"
    """It was on the list before the database was restored; the journal knew."""


class Confirmation(enum.StrEnum):
    """The state of the text that confirms an opt-out to the person; at most one is sent."""

    NONE = ""
    DUE = "due"
    UNCONFIRMED = "unconfirmed"
    """It was sent, or may have been: it is not sent again."""
    SENT = "sent"
    FAILED = "failed"


CHINA = ("r", "t", "td", "n", "qx", "退订", "退訂", "退定", "拒收", "取消", "取消订阅", "取消訂閱")
"""Words that carriers and providers in China ask people to text; 退定 is a common misspelling of 退订."""
ABROAD = (
    *("stop", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "optout", "remove", "removeme"),
    *("arret", "arrêt"),
)
"""Words on which carriers elsewhere act by themselves."""

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
"""Unicode categories that are ignored: punctuation, spaces, invisible marks, emoji. Not letters, digits or + < =."""


def significant(text: str) -> str:
    """Return a text as replies are compared: after NFKC (full-width letters), without case, punctuation, spaces and
    emoji."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in letters if letter != "~" and unicodedata.category(letter) not in _DROPPED)


def is_opt_out(text: str) -> bool:
    """Return whether the whole reply is an opt-out.

    Never a part of a sentence: "不要退订" and "T恤还有吗" are no opt-outs.
    """
    return _WHOLE.fullmatch(significant(text)) is not None
