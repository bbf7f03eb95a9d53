"""The columns of an uploaded table as contacts: what each column means, and its cells as typed JSON.

A file may have millions of rows, so a chunk is read column by column with as little Python per cell as possible; the
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

Row = Sequence[str] | None
"""The cells of a row as text; [] for an empty line, None for one that could not be read at all."""

UNREADABLE = "\ufffd"
"""What decoding leaves where the bytes are no text in the file's encoding."""
FORMULA = "\x00="
"""Stands for a cell that holds a formula without a result."""
SEAM = "\x00"
"""Between the cells of a column that is looked at as one text: no cell that can be kept holds it."""

PLAIN_NUMBER = re.compile(r"-?[1-9][0-9]{0,13}|0")
NUMBER = re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_ITEM_ENDS = re.compile(r"[,;|、，；]")
DATE_MARKS = str.maketrans({"/": "-", "年": "-", "月": "-", "日": " ", ".": "-"})
BOOLS = {
    **dict.fromkeys(("true", "1", "yes", "y", "是", "对", "有"), "true"),
    **dict.fromkeys(("false", "0", "no", "n", "否", "错", "无"), "false"),
}


class ImportState(enum.StrEnum):
    """Where a file of contacts is on its way in."""

    UPLOADED = "uploaded"
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
    """Which column is the user id, and which columns become properties; the others are ignored.

    A column may be both: then it holds phones, and the number in E.164 is the user id.
    """

    id: int
    columns: tuple[Column, ...]

    def as_json(self) -> dict[str, Any]:
        columns = [
            {"index": one.index, "name": one.name, "type": one.type.value, "label": one.label} for one in self.columns
        ]
        return {"id": self.id, "columns": columns}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Layout:
        columns = (Column(one["index"], one["name"], Type(one["type"]), one["label"]) for one in kept["columns"])
        return cls(kept["id"], tuple(columns))

    def renamed(self, names: Mapping[str, str]) -> Layout:
        """Return the layout with each column under the property that took its own one over."""
        return replace(self, columns=tuple(replace(one, name=names.get(one.name, one.name)) for one in self.columns))

    def phones(self, used: Collection[str]) -> tuple[Column, ...]:
        """Return the columns that hold a phone of some channel."""
        return tuple(column for column in self.columns if column.name in used)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not kept: its place in the chunk, the reason, and its facts."""

    at: int
    reason: Reason
    facts: Mapping[str, Any]


@dataclass
class Chunk:
    """What became of some rows of a file."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """(user id, properties as JSON, phones as JSON), in the file's order"""
    bad: list[BadRow] = field(default_factory=list)


def problems(layout: Layout | None, known: Mapping[str, Type], width: int) -> list[Problem]:
    """Return what keeps the file from being imported with this layout, each at the column's place "column-3"."""
    if layout is None or not 0 <= layout.id < width:
        return [Problem("import_without_id", "id")]
    found: list[Problem] = []
    if len(layout.columns) > MAX_PROPERTIES:
        found.append(Problem("import_too_wide", "columns", {"limit": MAX_PROPERTIES}))
    room = max(0, MAX_CATALOGUE - len(known))
    if len({column.name for column in layout.columns} - known.keys()) > room:
        found.append(Problem("catalogue_full", "columns", {"limit": MAX_CATALOGUE, "room": room}))
    seen: set[str] = set()
    for column in layout.columns:
        place = f"column-{column.index}"
        try:
            name = property_name(column.name)
        except Unfit:
            found.append(Problem("property_name", place, {"name": column.name[:40]}))
            continue
        if name in seen:
            found.append(Problem("property_twice", place, {"name": name}))
        seen.add(name)
        if known.get(name, column.type) is not column.type:
            found.append(Problem("property_type", place, {"name": name, "type": known[name].value}))
    return found


def read(layout: Layout, rows: Sequence[Row], width: int, phones: Sequence[Column], region: str) -> Chunk:
    """Return the rows as contacts and the bad ones with their reasons; empty cells say nothing about a property."""
    chunk = Chunk()
    at, cells = _even(rows, width, chunk.bad)
    if not cells:
        return chunk
    columns: list[tuple[str, ...]] = list(zip(*cells, strict=True))
    bad: dict[int, Unfit] = {}
    ids = _ids(columns[layout.id], bad)
    texts = {one.index: list(map(str.strip, columns[one.index])) for one in layout.columns}
    held = [_fragments(one, texts[one.index], bad) for one in layout.columns]
    properties = _objects([(one.name, _QUOTES[one.type]) for one in layout.columns], held, len(cells))
    numbers = [phone.normalise_all(texts[one.index], region) for one in phones]
    for one, e164 in zip(phones, numbers, strict=True):
        if one.index == layout.id:
            ids = _ids([number or "" for number in e164], bad)
    quoted = [[f'"{number}"' if number is not None else "" for number in e164] for e164 in numbers]
    found = zip(ids, properties, _objects([(one.name, "") for one in phones], quoted, len(cells)), strict=True)
    if bad:
        chunk.rows = [row for i, row in enumerate(found) if i not in bad]
        chunk.bad += [BadRow(at[i], unfit.reason, unfit.facts) for i, unfit in bad.items()]
        chunk.bad.sort(key=lambda one: one.at)
    else:
        chunk.rows = list(found)
    return chunk


def _even(rows: Sequence[Row], width: int, bad: list[BadRow]) -> tuple[Sequence[int], Sequence[Sequence[str]]]:
    """Return the places and cells of rows of exactly `width` cells: short ones are filled up, empty ones left out."""
    if set(map(len, filter(None, rows))) == {width} and all(rows):
        return range(len(rows)), rows  # type: ignore[return-value]
    at: list[int] = []
    cells: list[Sequence[str]] = []
    for i, row in enumerate(rows):
        if row is None:
            bad.append(BadRow(i, Reason.BAD_TEXT, {}))
        elif len(row) > width and any(row[width:]):
            bad.append(BadRow(i, Reason.TOO_MANY_CELLS, {"limit": width}))
        elif any(row):
            at.append(i)
            cells.append([*row[:width], *[""] * (width - len(row))])
    return at, cells


def _ids(cells: Sequence[str], bad: dict[int, Unfit]) -> list[str]:
    ids = list(map(str.strip, cells))
    if _clean(ids, SEAM.join(ids)) and "" not in ids and max(map(len, ids)) <= MAX_ID:
        return ids
    for i, text in enumerate(ids):
        if not text or len(text) > MAX_ID:
            bad[i] = Unfit(Reason.BAD_ID, limit=MAX_ID)
        elif not _clean((text,), text):
            bad[i] = Unfit(Reason.FORMULA if text == FORMULA else Reason.BAD_TEXT, name="xwho")
    return ids


def _clean(texts: Sequence[str], joined: str) -> bool:
    """Return whether all of them can be kept, and `joined`, they with seams between them, comes apart at the seams."""
    return joined.count(SEAM) < len(texts) and UNREADABLE not in joined


def _fragments(column: Column, texts: Sequence[str], bad: dict[int, Unfit]) -> Sequence[str]:
    """Return each cell as JSON without its quotes, "" for an empty one; enter rows that hold something else into `bad`.

    A look at all cells as one text costs a third of a look at each.
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
    """Return one JSON object per row from (name, quote around each value) and its column; an empty value is left out.

    Joining pieces takes two thirds of the time that filling a template does.
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


# Cells of one type as JSON without quotes. Each takes a whole column, as texts and as one text with a SEAM between
# them, and raises Unfit if any cell does not fit.


def _column_of(cell: str) -> Callable[[str], re.Match[str] | None]:
    """Return what matches a column whose cells are like this, or empty."""
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
            # The usual form; parsing all of them in C only proves that they exist.
            deque(map(dt.datetime.fromisoformat, filter(None, texts)), maxlen=0)
            return joined.replace(" ", "T").split(SEAM)
        except ValueError:
            pass
    return [text and _datetime(text, name) for text in texts]


def _datetime(text: str, name: str) -> str:
    if len(text) in (10, 19) and text[4] == "-":
        try:
            dt.datetime.fromisoformat(text)
            return f"{text[:10]}T{text[11:] or '00:00:00'}"
        except ValueError:
            pass
    found = moment(text.translate(DATE_MARKS).strip())
    if found is None:
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.DATETIME.value, found=Type.STRING.value)
    return found


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
