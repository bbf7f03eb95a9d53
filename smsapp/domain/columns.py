"""The columns of an uploaded table as contacts: the meaning of each column, and its cells as typed JSON.

A file may have millions of rows, so a chunk is read column by column with as little Python per cell as possible. The
result is ready for the database: (user id, properties as JSON, phones as JSON).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import phone
from smsapp.domain.cells import (
    EXPONENT,
    FORMULA,
    JSON_QUOTES,
    JSON_WRITERS,
    SEAM,
    UNREADABLE,
    BrokenRow,
    Row,
    is_blank,
    whole_numbers,
)
from smsapp.domain.contact import MAX_ID
from smsapp.domain.invisible import is_clean, trimmed, visible
from smsapp.domain.layout import Column, Layout
from smsapp.domain.rejection import Reason, Unfit

_MAYBE_EXPONENT = re.compile("[0-9][eE][+0-9]")


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


def read(
    layout: Layout,
    rows: Sequence[Row],
    width: int,
    phones: Sequence[Column],
    region: str,
    *,
    as_e164: bool = False,
) -> Chunk:
    """Return the rows as contacts, and the bad ones with their reasons; empty cells set no property.

    `as_e164` stores the numbers of `region` with their country code, for whoever reads them later as another's.
    """
    chunk = Chunk()
    at, cells = _even(rows, width, chunk.bad)
    if not cells:
        return chunk
    columns: list[tuple[str, ...]] = list(zip(*cells, strict=True))
    bad: dict[int, Unfit] = {}
    texts: dict[int, Sequence[str]] = {column.index: _texts(columns[column.index]) for column in layout.columns}
    for column in phones:
        texts[column.index] = whole_numbers(texts[column.index])
    numbers = [phone.normalise_all(texts[column.index], region) for column in phones]
    if as_e164:
        for column, e164 in zip(phones, numbers, strict=True):
            texts[column.index] = [number or text for number, text in zip(e164, texts[column.index], strict=True)]
    ids = [] if any(column.index == layout.id for column in phones) else _ids(columns[layout.id], bad)
    fragments = [_fragments(column, texts[column.index], bad) for column in layout.columns]
    properties = _objects([(column.name, JSON_QUOTES[column.type]) for column in layout.columns], fragments, len(cells))
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
    fit, joined = JSON_WRITERS[column.type], SEAM.join(texts)
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
