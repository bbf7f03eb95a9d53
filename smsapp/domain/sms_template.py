"""An SMS template's text: its purpose and approval, its variables and its compiled form."""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter


class Purpose(enum.StrEnum):
    MARKETING = "marketing"
    NOTIFICATION = "notification"
    VERIFICATION = "verification"
    UNSAID = "unsaid"
    """The provider does not say; the template cannot be used until a person has said it."""


KNOWN_PURPOSES = tuple(purpose for purpose in Purpose if purpose is not Purpose.UNSAID)


class Audit(enum.StrEnum):
    """The decision of the provider's reviewers; only approved texts can be sent."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    """The provider does not list it any more."""


@dataclass(frozen=True, slots=True)
class TemplateSnapshot:
    """An approved template as it is sent: all messages of one submission are made from it."""

    code: str
    """The provider's."""
    text: str
    signature: str
    variables: tuple[str, ...]
    marketing: bool

    def renderer(self) -> Callable[[Sequence[str]], str]:
        """Return the function from the variables' values to the whole text, with the signature."""
        return compile_text(full_text(self.signature, self.text))


def is_usable(audit: str, purpose: str) -> bool:
    """Return whether campaigns may send this: the provider approved it, and its purpose is known."""
    return audit == Audit.APPROVED and purpose != Purpose.UNSAID


class Style(enum.StrEnum):
    """The notation of variables: `${name}` or `{1}`."""

    NAMED = "named"
    NUMBERED = "numbered"


class TemplateSource(enum.StrEnum):
    """How a template was added."""

    MANUAL = "manual"
    IMPORT = "import"
    SYNC = "sync"


class SyncFate(enum.StrEnum):
    """What a sync does to one template."""

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "gone"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Entry:
    """One template as typed by a person or read from a file. Construct it with `entry`, which normalises it."""

    code: str
    name: str
    text: str
    signature: str
    purpose: Purpose


def entry(*, code: str = "", name: str, text: str, signature: str = "", purpose: Purpose) -> Entry:
    """Return the entry with its signature taken out of its brackets, or out of the text.

    Consoles show 【signature】 before the text, some after it. An entry without a provider's code gets one that is a
    hash of its signature and text, so that importing the same file again matches the same templates.
    """
    signature = signature.strip().strip("【】").strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    for match in (_SIGNED_BEFORE.match(text), _SIGNED_BEHIND.search(text)):
        if match and signature in {"", match[1].strip()}:
            signature, text = match[1].strip(), (text[: match.start()] + text[match.end() :]).strip()
            break
    digest = hashlib.sha256(full_text(signature, text).encode("utf-8", "replace")).hexdigest()[:10]
    return Entry(code.strip() or f"own-{digest}", name.strip(), text, signature, purpose)


VARIABLE = re.compile(r"\$\{(\w{1,40})\}|\{([1-9]\d?)\}")
LONGEST_NAME = 120
_SIGNED_BEFORE = re.compile(r"【([^【】]*)】\s*")
_SIGNED_BEHIND = re.compile(r"\s*【([^【】]*)】$")


def variables(text: str) -> tuple[str, ...]:
    """Return the names of the variables, `${name}` and `{1}`, in order of first appearance, each once."""
    return tuple(dict.fromkeys(match[1] or match[2] for match in VARIABLE.finditer(text)))


def neutral(text: str) -> str:
    """Return the text with its variables numbered in order of appearance, so that `${name}` and `{1}` are alike."""
    plain = unicodedata.normalize("NFKC", text)
    places = {name: f"{{{number}}}" for number, name in enumerate(variables(plain), start=1)}
    return VARIABLE.sub(lambda match: places[match[1] or match[2]], plain).strip()


def fit(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether these variables can take the same values in the same order; a number fits any name."""
    return len(first) == len(second) and all(
        name.casefold() == other.casefold() or name.isdigit() or other.isdigit()
        for name, other in zip(first, second, strict=True)
    )


def compile_text(text: str) -> Callable[[Sequence[str]], str]:
    """Return a function from the values, in the order of `variables(text)`, to the finished text.

    The text is parsed only once, because a run calls the function for every message.
    """
    names = {name: index for index, name in enumerate(variables(text))}
    if not names:
        return lambda values: text
    values_of = itemgetter(*(names[match[1] or match[2]] for match in VARIABLE.finditer(text)))
    pattern = VARIABLE.sub("%s", text.replace("%", "%%"))
    return lambda values: pattern % values_of(values)


def full_text(signature: str, text: str) -> str:
    """Return the text as it arrives on the handset: 【signature】 and the text."""
    return f"【{signature}】{text}" if signature else text


def pieces(text: str) -> list[tuple[str, str]]:
    """Return the text split for display: pairs of plain text and the variable after it, "" after the last."""
    pairs, end = [], 0
    for match in VARIABLE.finditer(text):
        pairs.append((text[end : match.start()], match[0]))
        end = match.end()
    return [*pairs, (text[end:], "")]
