"""What is a sendable number: one reading of whatever people, apps and spreadsheets write.

Mainland mobile numbers (nearly all of them) take one regular expression; everything else asks libphonenumber.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

_MAINLAND = re.compile(r"(?:(?:\+|00)86|86)?(1[3-9][0-9]{9})")
_MAINLAND_ABROAD = re.compile(r"(?:\+|00)86(1[3-9][0-9]{9})")
_ALL_MAINLAND = re.compile(r"1[3-9][0-9]{9}(?:,1[3-9][0-9]{9})*+")
_INSIDE = re.compile(
    r"(?<!\d)((?:\+?86|0086)?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})(?!\d)|(?<!\d)(\+\d{4})\d{3,6}(\d{4})(?!\d)"
)
_NOISE = str.maketrans(
    "０１２３４５６７８９＋",
    "0123456789+",
    "-‐‑‒–—―－−.() ()（）/'\t\r\n\v\f\u00a0\u2002\u2003\u2009\u200b\u200e\u202a\u202c\u202d\u3000\ufeff",
)
"""Full-width digits become plain ones; separators and the invisible marks that copying leaves behind go."""


def normalise(raw: object, region: str = "CN") -> str:
    """Return the number as E.164 ("+8613800138000"), or "" if no number can be read.

    `raw` may be text or a whole number (spreadsheets hold phones as numbers). `region` is the country whose national
    numbers need no prefix. Numbers of mainland China must be mobile numbers: a landline takes no SMS.
    """
    if isinstance(raw, str):
        text = raw
    elif isinstance(raw, bool):
        return ""
    elif isinstance(raw, int):
        text = str(raw)
    elif isinstance(raw, float) and raw.is_integer():
        text = str(int(raw))
    else:
        return ""
    mainland = _MAINLAND if region == "CN" else _MAINLAND_ABROAD
    found = mainland.fullmatch(text)
    if found is None:
        text = text.translate(_NOISE)
        found = mainland.fullmatch(text)
    if found is not None:
        return "+86" + found[1]
    return _foreign(text, region)


def normalise_all(texts: Sequence[str], region: str = "CN") -> list[str | None]:
    """Return `normalise` of each text, None for an empty one; a column of mainland numbers costs next to nothing."""
    if region == "CN" and _ALL_MAINLAND.fullmatch(",".join(texts)):
        return ["+86" + text for text in texts]
    return [normalise(text, region) if text else None for text in texts]


def _foreign(text: str, region: str) -> str:
    if text.startswith("00"):
        text = "+" + text[2:]
    if not text.isascii() or not text.removeprefix("+").isdigit() or not 5 <= len(text) <= 17:
        return ""
    if region == "CN" and not text.startswith("+"):
        return ""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if number.country_code == 86 or not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_domestic(e164: str) -> bool:
    """Return whether the number belongs to mainland China (+86)."""
    return e164.startswith("+86")


def mask(e164: str) -> str:
    """Return the number for people who may not see it whole: "138****8000", "+4479****3456"."""
    if not e164:
        return ""
    if is_domestic(e164) and len(e164) == 14:
        return f"{e164[3:6]}****{e164[-4:]}"
    if len(e164) >= 11:
        return f"{e164[:-8]}****{e164[-4:]}"
    return f"{e164[:3]}****{e164[-2:]}"


def mask_inside(text: str) -> str:
    """Return a text in which whatever looks like a number is masked: for file rows and records shown as they came."""
    return _INSIDE.sub(lambda found: f"{found[1] or found[3]}****{found[2] or found[4]}", text)
