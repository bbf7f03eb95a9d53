"""An SMS template's text: its variables, its compiled form, its billed parts, and what providers refuse."""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from smsapp.domain.errors import Problem


class Purpose(enum.StrEnum):
    MARKETING = "marketing"
    NOTIFICATION = "notification"
    VERIFICATION = "verification"
    UNSAID = "unsaid"
    """The provider does not say; the template cannot be used until a person has said it."""


SAID = tuple(purpose for purpose in Purpose if purpose is not Purpose.UNSAID)


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
_ATTEMPT = re.compile(r"\$?\{[^{}\n]{0,40}\}|\$\{[^{}\n]{0,12}")
"""Text that looks like a variable and is not one."""
_BRACE = re.compile(r"[^{}\n]{0,8}([{}])[^{}\n]{0,8}")
LONGEST_TEXT = 500
LONGEST_NAME = 120
UNSUBSCRIBE = "拒收请回复R"
"""The one wording that all Chinese carriers accept today; it counts towards the length."""

_UNSUBSCRIBE_NOW = re.compile(r"拒收请回复r(?![a-z])")
_UNSUBSCRIBE_BEFORE = re.compile(r"(?:退订|拒收)请?回复?[a-z]{1,2}(?![a-z])|回复?[a-z]{1,2}(?:退订|拒收)")
_UNSUBSCRIBE_ABROAD = re.compile(r"\b(?:stop|unsubscribe|opt[ -]?out)\b", re.IGNORECASE)
_SIGNED_BEFORE = re.compile(r"【([^【】]*)】\s*")
_SIGNED_BEHIND = re.compile(r"\s*【([^【】]*)】$")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_SIGNATURE = re.compile(r"[^\W_]{2,12}")


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


GSM_EXTENSION = "^{}[]~\\|€\f"
"""Characters of GSM-7 that need an escape and so count twice."""
GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_BASIC_BYTES = "".join(filter(str.isascii, GSM_BASIC)).encode()
_EXTENSION_BYTES = "".join(filter(str.isascii, GSM_EXTENSION)).encode()
_GSM = re.compile(f"[{re.escape(GSM_BASIC + GSM_EXTENSION)}]*")


def characters(text: str) -> int:
    """Return the length as carriers count it: UTF-16 units, so an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def parts(text: str, domestic: bool) -> int:
    """Return how many billed parts a finished text takes, signature included; 0 for no text.

    Chinese carriers bill one part up to 70 characters, then parts of 67, even if the text is ASCII. Elsewhere a GSM-7
    text has 160, then 153 septets per part, any other 70, then 67 UTF-16 units. An escape pair or an emoji is never
    split, so a part may be one unit shorter.
    """
    if not text:
        return 0
    if not domestic:
        extended = _gsm_extended(text)
        if extended is not None:
            septets = len(text) + extended
            if septets <= 160:
                return 1
            return _split((1 + (letter in GSM_EXTENSION) for letter in text), 153) if extended else -(-septets // 153)
    units = characters(text)
    if units == len(text):
        return _without_pairs(units)
    return 1 if units <= 70 else _split((1 + (letter > "\uffff") for letter in text), 67)


def _without_pairs(units: int) -> int:
    """Return the number of parts of so many UTF-16 units that may be split anywhere."""
    return 1 if units <= 70 else -(-units // 67)


def parts_of_all(texts: Sequence[str], domestic: Sequence[bool]) -> list[int]:
    """Return `parts` of each text; faster, because all texts are searched for surrogate pairs at once."""
    together = "".join(texts)
    pairs = characters(together) != len(together)
    return [
        _without_pairs(len(text)) if text and here and not pairs else parts(text, here)
        for text, here in zip(texts, domestic, strict=True)
    ]


@dataclass(frozen=True)
class Measure:
    """The size of a template before its values are filled in."""

    characters: int
    """With 【signature】, without the variables."""
    parts: int
    parts_abroad: int
    room: int
    """Characters the values may have together before a message to a Chinese number takes another part."""


def measure(signature: str, text: str) -> Measure:
    """Return the length and the billed parts of a template whose variables are all empty."""
    fixed_text = full_text(signature, VARIABLE.sub("", text))
    length, cost = characters(fixed_text), parts(fixed_text, domestic=True)
    return Measure(length, cost, parts(fixed_text, domestic=False), (70 if cost <= 1 else 67 * cost) - length)


def pieces(text: str) -> list[tuple[str, str]]:
    """Return the text split for display: pairs of plain text and the variable after it, "" after the last."""
    pairs, end = [], 0
    for match in VARIABLE.finditer(text):
        pairs.append((text[end : match.start()], match[0]))
        end = match.end()
    return [*pairs, (text[end:], "")]


def _gsm_extended(text: str) -> int | None:
    """Return how many characters of a GSM-7 text need an escape, or None if it is not within GSM-7."""
    if text.isascii():
        extended = text.encode().translate(None, _BASIC_BYTES)
        return None if extended.translate(None, _EXTENSION_BYTES) else len(extended)
    if _GSM.fullmatch(text) is None:
        return None
    return sum(map(text.count, GSM_EXTENSION))


def _split(widths: Iterable[int], room: int) -> int:
    """Return how many parts of `room` units hold characters of these widths without splitting one."""
    count, used = 1, 0
    for width in widths:
        used += width
        if used > room:
            count, used = count + 1, width
    return count


def entry_problems(draft: Entry, style: Style | None = None) -> list[Problem]:
    """Return the problems and warnings of this entry, in the order of the form's fields."""
    field_problems = []
    if not draft.name:
        field_problems.append(Problem("template_name_missing", "name"))
    for place, value in (("code", draft.code), ("name", draft.name)):
        if len(value) > LONGEST_NAME:
            field_problems.append(
                Problem("template_value_too_long", place, {"length": len(value), "most": LONGEST_NAME})
            )
    return field_problems + problems(draft.text, draft.signature, draft.purpose, style)


def problems(text: str, signature: str, purpose: Purpose, style: Style | None = None) -> list[Problem]:
    """Return what carriers and providers object to; `style` is the notation the channel demands, or None.

    Warnings do not prevent saving: they name what some providers refuse.
    """
    all_problems = [*_text_problems(text), *_variable_problems(text, style), *_purpose_problems(text, purpose)]
    length = characters(full_text(signature, text))
    if length > LONGEST_TEXT:
        all_problems.append(Problem("template_text_too_long", "text", {"length": length, "most": LONGEST_TEXT}))
    if not signature:
        all_problems.append(Problem("signature_missing", "signature", warning=True))
    elif _SIGNATURE.fullmatch(signature) is None:
        all_problems.append(Problem("signature_unusable", "signature"))
    return all_problems


def _text_problems(text: str) -> list[Problem]:
    if not text.strip():
        return [Problem("template_text_missing", "text")]
    problems = []
    if "【" in text or "】" in text:
        problems.append(Problem("brackets_in_text", "text"))
    remaining = VARIABLE.sub("\n", text)
    problems += [Problem("brace_unclear", "text", {"near": attempt[0]}) for attempt in _ATTEMPT.finditer(remaining)]
    alone = _BRACE.finditer(_ATTEMPT.sub("\n", remaining))
    return problems + [Problem("brace_alone", "text", {"brace": match[1], "near": match[0].strip()}) for match in alone]


def _variable_problems(text: str, style: Style | None) -> list[Problem]:
    problems = []
    named = {match[1] for match in VARIABLE.finditer(text) if match[1]}
    numbered = {int(match[2]) for match in VARIABLE.finditer(text) if match[2]}
    if named and numbered:
        problems.append(Problem("variables_mixed", "text"))
    elif named and style is Style.NUMBERED:
        problems.append(Problem("variables_must_be_numbered", "text"))
    elif numbered and style is Style.NAMED:
        problems.append(Problem("variables_must_be_named", "text"))
    gaps = set(range(1, max(numbered, default=0) + 1)) - numbered
    if gaps:
        missing = ", ".join(f"{{{number}}}" for number in sorted(gaps))
        problems.append(Problem("variable_numbers_gap", "text", {"missing": missing}))
    matches = list(VARIABLE.finditer(text))
    for first, second in pairwise(matches):
        if first.end() == second.start():
            problems.append(Problem("variables_adjacent", "text", {"first": first[0], "second": second[0]}))
    if matches and not VARIABLE.sub("", text).strip():
        problems.append(Problem("text_only_variable", "text"))
    uses = [match[0] for match in matches]
    repeated = dict.fromkeys(name for name in uses if uses.count(name) > 1)
    return problems + [Problem("variable_repeated", "text", {"variable": name}, warning=True) for name in repeated]


def asks_to_unsubscribe(text: str) -> bool:
    """Return whether the text says how to unsubscribe, which marketing texts must do and no others may."""
    plain = _plain(text)
    return bool(_UNSUBSCRIBE_NOW.search(plain) or _UNSUBSCRIBE_BEFORE.search(plain))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _purpose_problems(text: str, purpose: Purpose) -> list[Problem]:
    if purpose is Purpose.UNSAID:
        return []
    if purpose is not Purpose.MARKETING:
        out_of_place = asks_to_unsubscribe(text)
        return [Problem("unsubscribe_out_of_place", "text", {"purpose": purpose})] if out_of_place else []
    plain = _plain(text)
    now, before = _UNSUBSCRIBE_NOW.search(plain), _UNSUBSCRIBE_BEFORE.search(plain)
    if now:
        last = not plain[now.end() :].strip("。.!！;；,，~")
        return [] if last else [Problem("unsubscribe_not_last", "text", {"words": UNSUBSCRIBE}, warning=True)]
    if before:
        return [Problem("unsubscribe_old", "text", {"found": before[0].upper(), "words": UNSUBSCRIBE}, warning=True)]
    if not _CHINESE.search(text) and _UNSUBSCRIBE_ABROAD.search(text):
        return []
    return [Problem("unsubscribe_missing", "text", {"words": UNSUBSCRIBE})] if text.strip() else []
