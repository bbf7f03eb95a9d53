"""Reads phone numbers from whatever people, apps and spreadsheets write, and masks them for display.

Mainland mobile numbers (nearly all of them) take one regular expression; everything else goes to libphonenumber.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import phonenumbers

INVISIBLE = (
    r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160"
    r"\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
"""Ranges of characters that are invisible: controls, format characters, fillers, variation marks."""
_BREAKS = r"\x0a-\x0d\x85\u2028-\u2029"
SPACES = rf" \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000{_BREAKS}"
MARKS = r"\-‐‑‒–—―−－﹣﹘⸺⸻〜.．·•_()（）\[\]［］【】〔〕/'’"
"""Characters that people write between the figures of a number."""
_ODD_FIGURES = (
    r"\xb2-\xb3\xb9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea"
    r"\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792"
)
"""Superscript, subscript and circled figures: people can read them, so they are masked, but never read as numbers."""

_MAINLAND = re.compile(r"(?:(?:\+{0,2}(?:00)?)86)?0?(1[3-9][0-9]{9})")
_MAINLAND_ABROAD = re.compile(r"(?:\+{1,2}(?:00)?|00)860?(1[3-9][0-9]{9})")
_ALL_MAINLAND = re.compile(r"1[3-9][0-9]{9}(?:,1[3-9][0-9]{9})*+")
_ALL_MAINLAND_E164 = re.compile(r"\+861[3-9][0-9]{9}(?:,\+861[3-9][0-9]{9})*+")
_NOISE = re.compile(f"[{INVISIBLE}{SPACES}{MARKS.replace('.．', '')}]+")
_POINT = re.compile(r"([1-9][0-9]{4,})\.([0-9]{1,2})")
_POWER = re.compile(r"([0-9])\.([0-9]+)[eE]\+?([0-9]{1,2})")
_LATIN = str.maketrans("０１２３４５６７８９＋﹢．", "0123456789++.")

_BETWEEN = rf"[{SPACES.replace(_BREAKS, '')}{MARKS}]"
_DAY = r"(?:19|20)\d\d(?P<{0}>[-/.])(?:0?[1-9]|1[0-2])(?P={0})(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_ALONE = rf"(?!{_BETWEEN}{{1,3}}(?!{_DAY.format('then')}|\d{{7}})\d)"
"""Not followed by a few more digits, as the first half of a number would be."""
_INSIDE = re.compile(
    # Many digits that are no phone number: a date, with its time; a date without separators; an amount; a hex code.
    rf"(?P<plain>(?<!\d)(?:{_DAY.format('day')}(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?|{_ALONE})"
    rf"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!{_BETWEEN}{{0,3}}\d)"
    rf"|\d{{1,7}}\.\d\d?(?!{_BETWEEN}{{0,3}}\d)"
    rf"|0[xX][0-9A-Fa-f]{{1,8}}(?![0-9A-Za-z]|{_BETWEEN}{{1,3}}\d)))"
    # Eight digits or more, written together or with something between them, whatever country's.
    rf"|\+?\d{{8,}}|\+?\d(?:(?!{_BETWEEN}+{_DAY.format('next')}){_BETWEEN}{{0,3}}\d){{7,}}"
)
_FIGURES = re.compile(r"\+?\d+")
_PURE = re.compile(f"[{SPACES}{MARKS}]*")
_WRITTEN_MOBILE = re.compile(r"(?:(?:00)?86)?0?1[3-9][0-9]{9}")
_MANY_DIGITS = re.compile(rf"(?:[^\d{_ODD_FIGURES}]*[\d{_ODD_FIGURES}]){{8}}")
_BLANKS = re.compile(f"[{INVISIBLE}{SPACES}]+")
_SPACE = re.compile(f"[{SPACES}]")
_LINE_END = re.compile(f"[{_BREAKS}]")
_ODD = re.compile(f"[{INVISIBLE}{_ODD_FIGURES}＋﹢]|[{SPACES}]{{2}}")
LONGEST_WRITTEN = 17
"""Digits of the longest number with its 00."""
SHOWN = 4
"""The last digits of a number that everybody may see and search for."""
ERASED = "~"
"""The first character of a keyed hash that stands where a number was erased (domain/erasure.py)."""
SHOWN_OF_HASH = 7
"""Characters of a hash that are shown: enough to tell erased people of one list apart."""


def normalise(raw: object, region: str = "CN") -> str:
    """Return the number as E.164 ("+8613800138000"), or "" if no number can be read.

    `raw` may be text or a whole number (spreadsheets hold phones as numbers). `region` is the country whose national
    numbers need no prefix. Numbers of mainland China must be mobile numbers: a landline takes no SMS. A rounded number
    (1.38E+10) cannot be read.
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
    match = mainland.fullmatch(text)
    if match is None:
        text = _undressed(text)
        match = mainland.fullmatch(text)
    if match is not None:
        return "+86" + match[1]
    return _foreign(text, region)


def normalise_all(texts: Sequence[str], region: str = "CN") -> list[str | None]:
    """Return `normalise` of each text, None for an empty one; fast for a column of mainland numbers."""
    joined = ",".join(texts)
    if region == "CN" and joined.count(",") < len(texts) and _ALL_MAINLAND.fullmatch(joined):
        return ["+86" + text for text in texts]
    if _ALL_MAINLAND_E164.fullmatch(joined):
        return list(texts)
    return [normalise(text, region) if text else None for text in texts]


def readings(raw: str, region: str = "CN") -> list[str]:
    """Return the numbers (E.164) that a text may be: without + or 00 one of `region`, one abroad, or both."""
    text = raw.strip()
    national = normalise(text, region)
    abroad = "" if not text or text.startswith(("+", "00")) else normalise(f"+{text}", region)
    return list(dict.fromkeys(filter(None, (national, abroad))))


def _undressed(text: str) -> str:
    """Return the text without separators, its figures of any script as 0 to 9.

    A number that a spreadsheet wrote as a decimal (13800138006.0, 1.3800138006E10) becomes plain digits; one that has
    lost digits becomes "".
    """
    text = _NOISE.sub("", text)
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(figure, figure)) for figure in text.translate(_LATIN))
    if power := _POWER.fullmatch(text):
        first, fraction, exponent = power[1], power[2], int(power[3])
        is_whole = len(fraction) >= exponent and not fraction[exponent:].strip("0")
        return first + fraction[:exponent] if is_whole else ""
    if point := _POINT.fullmatch(text):
        return "" if point[2].strip("0") else point[1]
    return text.replace(".", "")


def _foreign(text: str, region: str) -> str:
    if text.startswith(("00", "+00", "++")):
        text = "+" + text.lstrip("+").removeprefix("00")
    if not text.isascii() or not text.removeprefix("+").isdigit() or not 5 <= len(text) <= LONGEST_WRITTEN:
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


def is_erased(stored: str) -> bool:
    """Return whether this is the keyed hash of a number that was erased."""
    return stored.startswith(ERASED)


def mask(e164: str) -> str:
    """Return the masked number, such as "138****8000" or "+4479****3456"; "" for ""; of an erased one "~kmhabc"."""
    if not e164:
        return ""
    if is_erased(e164):
        return e164[:SHOWN_OF_HASH]
    if is_domestic(e164) and len(e164) == 14:
        return f"{e164[3:6]}****{e164[-4:]}"
    if len(e164) >= 11:
        return f"{e164[:-8]}****{e164[-4:]}"
    return f"{e164[:3]}****{e164[-2:]}"


def mask_inside(text: str) -> str:
    """Return the text with everything that looks like a phone number masked: for raw texts and records.

    That is eight digits or more with spaces or the usual marks between them, and a mobile number with anything between
    its figures; dates, amounts, codes and shorter figures stay unchanged.
    """
    if not _MANY_DIGITS.match(text):
        return text
    seen, places = _as_seen(text) if _ODD.search(text) else (text, range(len(text)))
    pieces: list[str] = []
    done = 0
    for begin, end, masked in _masks(seen):
        pieces += (text[done : places[begin]], masked)
        done = places[end - 1] + 1
    return "".join((*pieces, text[done:]))


def mask_all(value: Any, *, figures: bool = True) -> Any:
    """Return JSON with the phone numbers in its names, texts and figures masked; such a figure becomes a text.

    `figures` False: our own figures, such as counts, stay as they are, and only what they stand beside is masked.
    """
    if isinstance(value, str):
        return mask_inside(value)
    if isinstance(value, list):
        return [mask_all(item, figures=figures) for item in value]
    if isinstance(value, dict):
        return {mask_all(name): mask_all(item, figures=figures) for name, item in value.items()}
    if not figures or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    masked = mask_inside(str(value))
    return value if masked == str(value) else masked


def _as_seen(text: str) -> tuple[str, Sequence[int]]:
    """Return the text as a reader sees it, and the index in `text` of each of its characters.

    Invisible characters are dropped, runs of spaces become one, and figures of any form become 0 to 9.
    """
    seen: list[str] = []
    places: list[int] = []
    done = 0
    for blanks in (*_BLANKS.finditer(text), None):
        begin = blanks.start() if blanks else len(text)
        seen += (_figure(letter) for letter in text[done:begin])
        places += range(done, begin)
        if blanks:
            done = blanks.end()
            if space := _one_space(blanks[0]):
                seen.append(space)
                places.append(begin)
    return "".join(seen), places


def _figure(letter: str) -> str:
    return letter if letter.isascii() else str(unicodedata.digit(letter, letter)).translate(_LATIN)


def _one_space(blanks: str) -> str:
    if _LINE_END.search(blanks):
        return "\n"
    return " " if _SPACE.search(blanks) else ""


def _masks(seen: str) -> list[tuple[int, int, str]]:
    """Return (begin, end, replacement) of everything in the text that must be masked, in order."""
    masks: list[tuple[int, int, str]] = []
    done = 0
    for begin, end, number in (*_scattered(seen), (len(seen), len(seen), "")):
        together = (match for match in _INSIDE.finditer(seen, done, begin) if not match["plain"])
        masks += ((*match.span(), _masked(match[0])) for match in together)
        if number:
            masks.append((begin, end, mask(number)))
        done = end
    return masks


def _scattered(seen: str) -> list[tuple[int, int, str]]:
    """Return (begin, end, number) of numbers whose groups of figures have anything between them.

    Groups with letters, colons, line breaks and the like between them count only if they make a complete number, and
    never across a date.
    """
    groups = list(_FIGURES.finditer(seen))
    if len(groups) < 2:
        return []
    scattered: list[tuple[int, int, str]] = []
    done = 0
    for first, group in enumerate(groups):
        if group.start() < done:
            continue
        figures, end, pure = group[0], group.end(), True
        for following in groups[first + 1 :]:
            between = seen[end : following.start()]
            figures += following[0]
            dropped = _PURE.fullmatch(between) is not None
            if following[0][0] == "+" or len(figures) > LONGEST_WRITTEN + 1 or not (dropped or _may_join(between)):
                break
            pure = pure and dropped
            end = following.end()
            number = _number_of(figures)
            if number and (pure or not _has_date(seen, group.start(), end)):
                scattered.append((group.start(), end, number))
                done = end
                break
    return scattered


def _has_date(seen: str, begin: int, end: int) -> bool:
    """Return whether a date or an amount overlaps begin..end."""
    plain = (match for match in _INSIDE.finditer(seen) if match["plain"] and "x" not in match[0].lower())
    return any(match.start() < end and begin < match.end() for match in plain)


def _may_join(between: str) -> bool:
    return len(between) <= 3 and sum(letter.isalpha() for letter in between) <= 1


def _number_of(figures: str) -> str:
    """Return the number that these figures surely are, in E.164; "" if that is not sure."""
    if len(figures) > 8 and (figures.startswith(("+", "00")) or _WRITTEN_MOBILE.fullmatch(figures)):
        return normalise(figures)
    return ""


def _masked(figures: str) -> str:
    number = normalise(figures)
    if number:
        return mask(number)
    digits = "".join(filter(str.isdigit, figures))
    first, last = (3, 4) if len(digits) >= 11 else (2, 2)
    return f"{'+' if figures[0] == '+' else ''}{digits[:first]}****{digits[-last:]}"


def reveals(part: str) -> bool:
    """Return whether a search for this part could reveal more digits of a number than its mask shows.

    Otherwise people who may not see numbers could find one out digit by digit. Up to four digits next to a letter
    reveal nothing: they are the end of a number, or in none.
    """
    digits = sum(letter.isdigit() for letter in part)
    return digits > SHOWN or (digits > 0 and not any(letter.isalpha() for letter in part))
