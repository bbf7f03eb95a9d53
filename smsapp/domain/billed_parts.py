"""The billed parts of a text, and how many characters its variables may fill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smsapp.domain.sms_template import VARIABLE, full_text

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


def characters_of_all(texts: Sequence[str]) -> list[int]:
    """Return `characters` of each text; faster, because all texts are searched for surrogate pairs at once."""
    together = "".join(texts)
    return list(map(len if characters(together) == len(together) else characters, texts))


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
