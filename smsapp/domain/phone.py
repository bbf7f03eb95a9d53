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
_BETWEEN = r"[-‐‑‒–—―－−.．·•_ ()（）/'\t\u00a0\u2000-\u200f\u202a-\u202f\u2060\u3000\ufeff]"
_DAY = r"(?:19|20)\d\d(?P<{0}>[-/.])(?:0?[1-9]|1[0-2])(?P={0})(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_ALONE = rf"(?!{_BETWEEN}{{1,3}}(?!{_DAY.format('then')}|\d{{7}})\d)"
"""What follows does not go on with a few digits, as the second half of a number would."""
_INSIDE = re.compile(
    # What has many digits and is no number: a date, with its time; a date without separators; an amount.
    rf"(?P<plain>(?<!\d)(?:{_DAY.format('day')}(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?|{_ALONE})"
    rf"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!{_BETWEEN}{{0,3}}\d)"
    rf"|\d{{1,7}}\.\d\d?(?!{_BETWEEN}{{0,3}}\d)))"
    # Eight digits or more, written together or with something between them, whatever country's.
    rf"|\+?\d{{8,}}|\+?\d(?:(?!{_BETWEEN}+{_DAY.format('next')}){_BETWEEN}{{0,3}}\d){{7,}}"
)
_MANY_DIGITS = re.compile(r"(?:\D*\d){8}")
SHOWN = 4
"""So many last digits of a number everybody sees, and may look for."""
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
    joined = ",".join(texts)
    if region == "CN" and joined.count(",") < len(texts) and _ALL_MAINLAND.fullmatch(joined):
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
    """Return a text in which whatever looks like a number is masked: for texts and records shown as they came.

    That is eight digits or more, in any notation; dates, amounts and shorter figures stay as they are.
    """
    return _INSIDE.sub(_masked, text) if _MANY_DIGITS.match(text) else text


def _masked(found: re.Match[str]) -> str:
    if found["plain"]:
        return found[0]
    number = normalise(found[0])
    if number:
        return mask(number)
    digits = "".join(filter(str.isdigit, found[0]))
    first, last = (3, 4) if len(digits) >= 11 else (2, 2)
    return f"{'+' if found[0][0] == '+' else ''}{digits[:first]}****{digits[-last:]}"


def reveals(part: str) -> bool:
    """Return whether finding texts that hold this part tells more digits of a number than its mask shows.

    Whoever may not see numbers could otherwise find one out digit by digit. Up to four digits next to a letter tell
    nothing: they stand at the end of a number, or in none.
    """
    digits = sum(letter.isdigit() for letter in part)
    return digits > SHOWN or (digits > 0 and not any(letter.isalpha() for letter in part))
