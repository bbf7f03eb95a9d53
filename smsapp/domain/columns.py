"""The columns of an uploaded table as contacts: the meaning of each column, and its cells as typed JSON.

A file may have millions of rows, so a chunk is read column by column with as little Python per cell as possible. The
result is ready for the database: (user id, properties as JSON, phones as JSON).
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring
from typing import Any

from smsapp.domain import phone
from smsapp.domain.contact import (
    MAX_CATALOGUE,
    MAX_ID,
    MAX_ITEM,
    MAX_ITEMS,
    MAX_PROPERTIES,
    MAX_TEXT,
    Reason,
    Type,
    Unfit,
    moment,
    number,
    property_name,
)
from smsapp.domain.errors import Problem
from smsapp.domain.invisible import is_clean, trimmed, visible


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
_MAYBE_EXPONENT = re.compile("[0-9][eE][+0-9]")
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


class ImportState(enum.StrEnum):
    """The progress of a file of contacts."""

    RECEIVED = "received"
    """Stored; its format is not recognised yet."""
    UPLOADED = "uploaded"
    """Recognised; a person has to say what its columns mean."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Column:
    """A column that becomes a property."""

    index: int
    name: str
    type: Type
    label: str = ""


@dataclass(frozen=True)
class Layout:
    """The index of the column with the user id, and the columns that become properties; the others are ignored.

    A column may be both: then it holds phones, and the number in E.164 is the user id.
    """

    id: int
    columns: tuple[Column, ...]

    def as_json(self) -> dict[str, Any]:
        columns = [
            {"index": column.index, "name": column.name, "type": column.type.value, "label": column.label}
            for column in self.columns
        ]
        return {"id": self.id, "columns": columns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        columns = (
            Column(column["index"], column["name"], Type(column["type"]), column["label"]) for column in data["columns"]
        )
        return cls(data["id"], tuple(columns))

    def renamed(self, names: Mapping[str, str]) -> Layout:
        """Return the layout with renamed columns; `names`: property -> the property it was merged into."""
        return replace(
            self, columns=tuple(replace(column, name=names.get(column.name, column.name)) for column in self.columns)
        )

    def phones(self, used: Collection[str]) -> tuple[Column, ...]:
        """Return the columns whose property is among `used`, the phone properties of channels."""
        return tuple(column for column in self.columns if column.name in used)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not kept: its index in the chunk, the reason, and the reason's facts."""

    at: int
    reason: Reason
    facts: Mapping[str, Any]


@dataclass
class Chunk:
    """The result of reading some rows of a file."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """(user id, properties as JSON, phones as JSON), in the file's order"""
    bad: list[BadRow] = field(default_factory=list)
    without_number: list[tuple[str, BadRow]] = field(default_factory=list)
    """(user id, row) of rows that are kept without a usable phone: NO_NUMBER (the cells are empty) or BAD_NUMBER."""


def problems(layout: Layout | None, types: Mapping[str, Type], width: int) -> list[Problem]:
    """Return the problems of importing a file of `width` columns with this layout; their places are "column-3"."""
    if layout is None or not 0 <= layout.id < width:
        return [Problem("import_without_id", "id")]
    problems: list[Problem] = []
    if len(layout.columns) > MAX_PROPERTIES:
        problems.append(Problem("import_too_wide", "columns", {"limit": MAX_PROPERTIES}))
    room = max(0, MAX_CATALOGUE - len(types))
    if len({column.name for column in layout.columns} - types.keys()) > room:
        problems.append(Problem("catalogue_full", "columns", {"limit": MAX_CATALOGUE, "room": room}))
    seen: set[str] = set()
    for column in layout.columns:
        place = f"column-{column.index}"
        try:
            name = property_name(column.name)
        except Unfit:
            problems.append(Problem("property_name", place, {"name": column.name[:40]}))
            continue
        if name in seen:
            problems.append(Problem("property_twice", place, {"name": name}))
        seen.add(name)
        if types.get(name, column.type) is not column.type:
            problems.append(Problem("property_type", place, {"name": name, "type": types[name].value}))
    return problems


def read(layout: Layout, rows: Sequence[Row], width: int, phones: Sequence[Column], region: str) -> Chunk:
    """Return the rows as contacts, and the bad ones with their reasons; empty cells set no property."""
    chunk = Chunk()
    at, cells = _even(rows, width, chunk.bad)
    if not cells:
        return chunk
    columns: list[tuple[str, ...]] = list(zip(*cells, strict=True))
    bad: dict[int, Unfit] = {}
    texts: dict[int, Sequence[str]] = {column.index: _texts(columns[column.index]) for column in layout.columns}
    for column in phones:
        texts[column.index] = sees_full_numbers(texts[column.index])
    ids = [] if any(column.index == layout.id for column in phones) else _ids(columns[layout.id], bad)
    fragments = [_fragments(column, texts[column.index], bad) for column in layout.columns]
    properties = _objects([(column.name, _QUOTES[column.type]) for column in layout.columns], fragments, len(cells))
    numbers = [phone.normalise_all(texts[column.index], region) for column in phones]
    for column, e164 in zip(phones, numbers, strict=True):
        if column.index == layout.id:
            ids = _ids([number or "" for number in e164], bad)
    quoted = [[f'"{number}"' if number is not None else "" for number in e164] for e164 in numbers]
    contacts = zip(ids, properties, _objects([(column.name, "") for column in phones], quoted, len(cells)), strict=True)
    if bad:
        chunk.rows = [row for i, row in enumerate(contacts) if i not in bad]
        chunk.bad += [
            BadRow(at[i], unfit.reason, unfit.facts)
            for i, unfit in bad.items()
            if unfit.reason is not Reason.BAD_ID or not is_blank(cells[i])
        ]
        chunk.bad.sort(key=lambda row: row.at)
    else:
        chunk.rows = list(contacts)
    if not any(map(all, numbers)) and not all(map(any, zip(*numbers, strict=True))):
        chunk.without_number = [
            (ids[i], BadRow(at[i], Reason.NO_NUMBER if set(read) == {None} else Reason.BAD_NUMBER, {}))
            for i, read in enumerate(zip(*numbers, strict=True))
            if not any(read) and i not in bad
        ]
    return chunk


def is_blank(row: Row) -> bool:
    """Return whether all cells of the row are blank."""
    return not any(cell and not cell.isspace() for cell in row)


def sees_full_numbers(texts: Sequence[str]) -> Sequence[str]:
    """Return numbers that a program wrote with a fraction or an exponent as plain digits.

    13800138006.0 and 1.3800138007E10 are whole; 1.38E+10 has lost digits, so it stays unchanged.
    """
    joined = SEAM.join(texts)
    if "." not in joined and "," not in joined and "E" not in joined and "e" not in joined:
        return texts
    return [whole_number(text) for text in texts]


def whole_number(text: str) -> str:
    """Return the text of one cell as `sees_full_numbers` does."""
    if match := _WHOLE.fullmatch(text):
        return match[1]
    match = _WHOLE_EXPONENT.fullmatch(text)
    if match is None:
        return text
    digits, exponent = match[1] + match[2], int(match[3])
    # Excel shows six digits; programs that write the number exactly write all digits except zeros at the end.
    return digits.ljust(exponent + 1, "0") if MOST_SHOWN < len(digits) <= exponent + 1 else text


def _texts(cells: Sequence[str]) -> list[str]:
    texts = list(map(str.strip, cells))
    return texts if is_clean("".join(texts)) else list(map(trimmed, texts))


def _even(rows: Sequence[Row], width: int, bad: list[BadRow]) -> tuple[Sequence[int], Sequence[Sequence[str]]]:
    """Return the indexes and cells of the rows, all of `width` cells: short rows are padded, empty ones left out."""
    if BrokenRow not in set(map(type, rows)) and set(map(len, rows)) == {width}:
        return range(len(rows)), rows
    at: list[int] = []
    cells: list[Sequence[str]] = []
    for i, row in enumerate(rows):
        if isinstance(row, BrokenRow):
            bad.append(BadRow(i, Reason.BAD_QUOTES, {}))
        elif not is_blank(row[width:]):
            bad.append(BadRow(i, Reason.TOO_MANY_CELLS, {"limit": width}))
        elif not is_blank(row):
            at.append(i)
            cells.append([*row[:width], *[""] * (width - len(row))])
    return at, cells


def _ids(cells: Sequence[str], bad: dict[int, Unfit]) -> list[str]:
    ids = list(map(str.strip, cells))
    joined = SEAM.join(ids)
    if not is_clean(joined):
        ids = list(map(visible, ids))
    exponents = ("e" in joined or "E" in joined) and _MAYBE_EXPONENT.search(joined) is not None
    if _clean(ids, joined) and "" not in ids and max(map(len, ids)) <= MAX_ID and not exponents:
        return ids
    for i, text in enumerate(ids):
        if not text or len(text) > MAX_ID:
            bad[i] = Unfit(Reason.BAD_ID, limit=MAX_ID)
        elif not _clean((text,), text):
            bad[i] = Unfit(Reason.FORMULA if text == FORMULA else Reason.BAD_TEXT, name="xwho")
        elif exponents and EXPONENT.fullmatch(text):
            bad[i] = Unfit(Reason.DESTROYED_ID)
    return ids


def _clean(texts: Sequence[str], joined: str) -> bool:
    """Return whether all texts can be kept; `joined` is the texts with a SEAM between them."""
    return joined.count(SEAM) < len(texts) and UNREADABLE not in joined


def _fragments(column: Column, texts: Sequence[str], bad: dict[int, Unfit]) -> Sequence[str]:
    """Return each cell as JSON without its quotes, "" for an empty one; add rows whose cell has another type to `bad`.

    Checks all cells as one text first, which is faster than checking each cell (bench/contacts_import.py).
    """
    fit, joined = _CELLS[column.type], SEAM.join(texts)
    if _clean(texts, joined):
        try:
            return fit(texts, joined, column.name)
        except Unfit:
            pass  # One of the cells does not fit; look for it cell by cell.
    fragments: list[str] = []
    for i, text in enumerate(texts):
        try:
            if not _clean((text,), text):
                raise Unfit(Reason.FORMULA if text == FORMULA else Reason.BAD_TEXT, name=column.name)
            fragments += fit((text,), text, column.name)
        except Unfit as unfit:
            bad.setdefault(i, unfit)
            fragments.append("")
    return fragments


def _objects(names: Sequence[tuple[str, str]], columns: Sequence[Sequence[str]], count: int) -> list[str]:
    """Return one JSON object per row from (name, quote around each value) and its column; empty values are left out.

    Joining pieces is faster than filling a template (bench/contacts_import.py).
    """
    if not columns:
        return ["{}"] * count
    keys = [f"{json.dumps(name, ensure_ascii=False)}:{quote}" for name, quote in names]
    quotes = [quote for _name, quote in names]
    if all(all(column) for column in columns):
        between = [quote + "," + key for quote, key in zip(quotes, keys[1:], strict=False)]
        before = map(itertools.repeat, ["{" + keys[0], *between])
        pieces = itertools.chain.from_iterable(zip(before, columns, strict=True))
        return list(map("".join, zip(*pieces, itertools.repeat(quotes[-1] + "}"), strict=False)))
    return [
        "{"
        + ",".join([key + value + quote for key, value, quote in zip(keys, row, quotes, strict=True) if value])
        + "}"
        for row in zip(*columns, strict=True)
    ]


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
    items = list(dict.fromkeys(item for part in _ITEM_ENDS.split(text) if (item := part.strip())))
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    if any(len(item) > MAX_ITEM for item in items):
        raise Unfit(Reason.TOO_LONG, name=name, limit=MAX_ITEM)
    return json.dumps(items, ensure_ascii=False)


_QUOTES: Mapping[Type, str] = {kind: '"' if kind in {Type.STRING, Type.DATETIME} else "" for kind in Type}
_CELLS: Mapping[Type, Callable[[Sequence[str], str, str], Sequence[str]]] = {
    Type.STRING: _strings,
    Type.NUMBER: _numbers,
    Type.BOOL: _bools,
    Type.DATETIME: _datetimes,
    Type.LIST: _lists,
}
