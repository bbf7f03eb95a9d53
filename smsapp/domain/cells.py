"""The cells of a table: what one may contain, and a column of one type as JSON.

A column is checked as one text, because a file may have millions of rows.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring

from smsapp.domain.contact import MAX_ITEM, MAX_ITEMS, MAX_TEXT, Type, moment, number
from smsapp.domain.rejection import Reason, Unfit


class BrokenRow(tuple[str, ...]):
    """The cells, as far as they can be recognised, of a row whose quotation marks are wrong: shown, never stored."""


Row = Sequence[str]
"""The cells of a row as text; [] for an empty line, a BrokenRow for one that cannot be parsed."""

UNREADABLE = "\ufffd"
"""Replaces bytes that are invalid in the file's encoding."""
FORMULA = "\x00="
"""Stands for a cell that holds a formula without a result."""
SEAM = "\x00"
"""Separates the cells of a column that is checked as one text: no cell that can be kept contains it."""

EXPONENT = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+|[0-9][.,][0-9]+[eE][0-9]+")
"""A long number as Excel and many programs write it: an id loses digits, and different ids become equal."""
MOST_SHOWN = 6
"""Digits that Excel shows of a number it writes with an exponent."""
_WHOLE = re.compile(r"([0-9]+)[.,]0+")
_WHOLE_EXPONENT = re.compile(r"([0-9])[.,]?([0-9]*)[eE]\+?([0-9]{1,2})")
_ISO_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2})?")
_DAY = re.compile(r"[0-9]{4}(?:[-/.][0-9]{1,2}[-/.]|年[0-9]{1,2}月)[0-9]{1,2}日?")
PLAIN_NUMBER = re.compile(r"-?[1-9][0-9]{0,13}|0")
NUMBER = re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_ITEM_ENDS = re.compile(r"[,;|、，；]")
DATE_MARKS = str.maketrans("/年月.", "----", "日")
BOOLS = {
    **dict.fromkeys(("true", "1", "yes", "y", "是", "对", "有"), "true"),
    **dict.fromkeys(("false", "0", "no", "n", "否", "错", "无"), "false"),
}


def is_blank(row: Row) -> bool:
    """Return whether all cells of the row are blank."""
    return not any(cell and not cell.isspace() for cell in row)


def whole_numbers(texts: Sequence[str]) -> Sequence[str]:
    """Return numbers that a program wrote with a fraction or an exponent as plain digits.

    13800138006.0 and 1.3800138007E10 are whole; 1.38E+10 has lost digits, so it stays unchanged.
    """
    joined = SEAM.join(texts)
    if "." not in joined and "," not in joined and "E" not in joined and "e" not in joined:
        return texts
    return [whole_number(text) for text in texts]


def whole_number(text: str) -> str:
    """Return the text of one cell as `whole_numbers` does."""
    if match := _WHOLE.fullmatch(text):
        return match[1]
    match = _WHOLE_EXPONENT.fullmatch(text)
    if match is None:
        return text
    digits, exponent = match[1] + match[2], int(match[3])
    # Excel shows six digits; programs that write the number exactly write all digits except zeros at the end.
    return digits.ljust(exponent + 1, "0") if MOST_SHOWN < len(digits) <= exponent + 1 else text


# Functions that return cells of one type as JSON without quotes. Each takes a column, as texts and as one text with a
# SEAM between them, and raises Unfit if any cell does not fit.


def _column_of(cell: str) -> Callable[[str], re.Match[str] | None]:
    """Return a function that matches a joined column whose cells all match the expression `cell` or are empty."""
    return re.compile(f"(?:{cell})?(?:{SEAM}(?:{cell})?)*+").fullmatch


def _strings(texts: Sequence[str], joined: str, name: str) -> Sequence[str]:
    if max(map(len, texts)) > MAX_TEXT:
        raise Unfit(Reason.TOO_LONG, name=name, limit=MAX_TEXT)
    plain = joined.replace(SEAM, "")
    if len(encode_basestring(plain)) == len(plain) + len('""'):
        return texts  # Nothing in them has to be escaped.
    return [encode_basestring(text)[1:-1] for text in texts]


_plain_numbers = _column_of(PLAIN_NUMBER.pattern)


def _numbers(texts: Sequence[str], joined: str, name: str) -> Sequence[str]:
    if _plain_numbers(joined):
        return texts
    plain = PLAIN_NUMBER.fullmatch
    return [text if not text or plain(text) else _number(text, name) for text in texts]


def _number(text: str, name: str) -> str:
    if NUMBER.fullmatch(text) is None or not any(map(str.isdigit, text)):
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.NUMBER.value, found=Type.STRING.value)
    return json.dumps(number(name, float(text.replace(",", ""))))


def _bools(texts: Sequence[str], _joined: str, name: str) -> Sequence[str]:
    try:
        return [text and BOOLS[text.lower()] for text in texts]
    except KeyError:
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.BOOL.value, found=Type.STRING.value) from None


_iso_moments = _column_of("[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")


def _datetimes(texts: Sequence[str], joined: str, name: str) -> Sequence[str]:
    if _iso_moments(joined):
        try:
            # The usual form; parsing in C only checks that the dates exist.
            deque(map(dt.datetime.fromisoformat, filter(None, texts)), maxlen=0)
            return joined.replace(" ", "T").split(SEAM)
        except ValueError:
            pass
    return [text and _datetime(text, name) for text in texts]


def _datetime(text: str, name: str) -> str:
    if _ISO_MOMENT.fullmatch(text):
        try:
            dt.datetime.fromisoformat(text)
            return f"{text[:10]}T{text[11:] or '00:00:00'}"
        except ValueError:
            pass
    iso = as_moment(text)
    if iso is None:
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.DATETIME.value, found=Type.STRING.value)
    return iso


def as_moment(text: str) -> str | None:
    """Return `moment` of a date as people write it (2024/5/26, 2024年5月26日 18:53); None for other text."""
    match = _DAY.match(text)
    if match is None:
        return None
    day, time = match[0].translate(DATE_MARKS), text[match.end() :].strip()
    return moment(day + (time if time[:1] in ("", "T") else f" {time}"))


def _lists(texts: Sequence[str], _joined: str, name: str) -> Sequence[str]:
    return [text and _list(text, name) for text in texts]


def _list(text: str, name: str) -> str:
    items = json_items(text)
    if items is None:
        items = list(dict.fromkeys(item for part in _ITEM_ENDS.split(text) if (item := part.strip())))
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    if any(len(item) > MAX_ITEM for item in items):
        raise Unfit(Reason.TOO_LONG, name=name, limit=MAX_ITEM)
    return json.dumps(items, ensure_ascii=False)


def json_items(text: str) -> list[str] | None:
    """Return the texts of a cell that is a JSON list of texts, whose items may hold commas; None for any other cell."""
    if not text.startswith('["') or not text.endswith('"]'):
        return None
    try:
        items = json.loads(text)
    except ValueError:
        return None
    return list(dict.fromkeys(items)) if all(isinstance(item, str) for item in items) else None


JSON_QUOTES: Mapping[Type, str] = {kind: '"' if kind in {Type.STRING, Type.DATETIME} else "" for kind in Type}
"""The quotation mark around a cell of this type in JSON, "" for none."""
JSON_WRITERS: Mapping[Type, Callable[[Sequence[str], str, str], Sequence[str]]] = {
    Type.STRING: _strings,
    Type.NUMBER: _numbers,
    Type.BOOL: _bools,
    Type.DATETIME: _datetimes,
    Type.LIST: _lists,
}
"""By type: the function that returns a column's cells as JSON without quotes; it takes the cells, the same cells as one
text, and the property's name."""
