"""Files of other systems as tables that are read like any other: one row for each row or line, with a mark for each.

endpoints.json.gz  ->  user_id, phone, Country, FirstName ...   and a byte per row: taken, merged, why left out
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from smsapp.domain import csv_text, listmonk_subscribers, other_systems, pinpoint_endpoints
from smsapp.domain.cells import BrokenRow, Row, is_blank
from smsapp.domain.contact import MAX_NAME, MAX_TEXT
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.flat_values import Columns, flat, has_lists, texts
from smsapp.domain.other_systems import System
from smsapp.domain.rejection import Reason
from smsapp.services.tables import json_lines, packed, reading, recognition
from smsapp.services.tables.formats import CSV, MOST_COLUMNS, Format

BATCH = 1000
ROWS_BEFORE_HEADINGS = 20_000
"""An attribute is a list if one of so many first rows has several values; later ones are joined by commas."""
LOOKED_AT = 1 << 16
LIST_HEADING = "xwho"
"""What a list of user ids is matched by."""

Part = tuple[Columns, int, Mapping[int, Reason]]
"""The columns of some rows, their number, and those that are none: index -> why."""


@dataclass(frozen=True)
class Translated:
    """A table, with a mark for each of its rows if it was another system's (domain/other_systems.py)."""

    form: Format
    marks: bytes


def translate(path: Path, target: Path, named: System | None, region: str) -> Translated:
    """Write a file of another system as CSV to `target`; an ordinary table stays where it is, unpacked to `target`.

    `named` is what a person says the file is. Raises Refusal if it is none of that system, or broken, or no table.
    """
    if _is_json(path):
        if named not in {None, System.PINPOINT}:
            raise Refusal(Problem("system_not_json", "file"))
        with packed.opened(path) as file:
            return _write(target, System.PINPOINT, _json_parts(json_lines.chunks(file)), region, first_row=1)
    if packed.is_packed(path):
        packed.unpack(path, target)
        unpacked = target.with_name(f"{target.name}.unpacked")
        target.rename(unpacked)
        try:
            translated = _translate_table(unpacked, target, named, region)
            if not target.exists():
                unpacked.rename(target)
            return translated
        finally:
            unpacked.unlink(missing_ok=True)
    return _translate_table(path, target, named, region)


def unfold_ids(path: Path, target: Path) -> Format | None:
    """Write a segment file of Pinpoint that lists user ids only as a table of one id per row; None for another file."""
    if _is_json(path):
        with packed.opened(path) as file:
            lines = [line for part, _bad in json_lines.chunks(file) for line in part]
        columns = flat(lines, pinpoint_endpoints.NESTED)
        if [*columns] != [pinpoint_endpoints.USER_ID_LIST]:
            return None
        ids = texts(columns[pinpoint_endpoints.USER_ID_LIST])
    else:
        with path.open(encoding="utf-8-sig", errors="replace", newline=None) as text:
            if text.readline(MAX_NAME).strip() != pinpoint_endpoints.USER_ID_LIST:
                return None
            ids = text.read().split()
    target.write_text(csv_text.lines([[LIST_HEADING], *([user_id] for user_id in ids)]), encoding="utf-8", newline="")
    return Format(CSV, "utf-8", ",", heading_row=1)


def _is_json(path: Path) -> bool:
    """Return whether a file begins like JSON lines; raise Refusal for one JSON list of everything."""
    with packed.opened(path) as file:
        start = file.read(LOOKED_AT).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"[{", b"[\n", b"[ ", b"[\r")):
        raise Refusal(Problem("json_no_lines", "file"))
    return start.startswith(b"{")


def _translate_table(path: Path, target: Path, named: System | None, region: str) -> Translated:
    form = recognition.recognise(path)
    headings = reading.parted(reading.sample(path, form), form)[0]
    if named is None:
        named = other_systems.recognised(headings)
    if named in {None, System.TABLE}:
        return Translated(form, b"")
    if named is System.PINPOINT and [heading.strip() for heading in headings] == [pinpoint_endpoints.USER_ID_LIST]:
        raise Refusal(Problem("pinpoint_ids_only", "file"))
    if lacking := other_systems.missing(named, headings):
        facts = {"missing": ", ".join(lacking), "headings": ", ".join(filter(None, headings))[:200] or "–"}
        raise Refusal(Problem("system_headings", "file", {"system": other_systems.NAMES[named], **facts}))
    if named not in other_systems.TRANSLATED:
        return Translated(replace(form, system=named.value, region=other_systems.REGIONS.get(named, "")), b"")
    parts = _table_parts(reading.chunks(path, form, 0, BATCH), other_systems.as_meant(named, headings), named)
    return _write(target, named, parts, region, first_row=form.heading_row + 1)


def _json_parts(lines: Iterator[json_lines.Lines]) -> Iterator[Part]:
    rows = 0
    for objects, bad in lines:
        columns = flat(objects, pinpoint_endpoints.NESTED, pinpoint_endpoints.IGNORED)
        if rows == 0:
            _refuse_no_endpoints(columns, len(objects), bad)
        count = len(objects)
        rows += count
        del objects  # before the next ones are parsed: the processor's cache holds few
        yield columns, count, bad


def _refuse_no_endpoints(columns: Columns, count: int, bad: Mapping[int, Reason]) -> None:
    if "ChannelType" in columns or "Address" in columns:
        return
    if pinpoint_endpoints.USER_ID_LIST in columns:
        raise Refusal(Problem("pinpoint_ids_only", "file"))
    if columns or len(bad) == count:
        raise Refusal(Problem("json_no_endpoints", "file"))


def _table_parts(chunks: Iterator[tuple[list[Row], int]], headings: Sequence[str], system: System) -> Iterator[Part]:
    width = len(headings)
    for rows, _read in chunks:
        even, bad = rows, dict[int, Reason]()
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {width}:
            bad = {i: Reason.MISFIT for i, row in enumerate(rows) if _is_misfit(row, width)}
            even = [row if len(row) == width else [*row[:width], *[""] * (width - len(row))] for row in rows]
        if system is System.PINPOINT:
            yield pinpoint_endpoints.gathered(headings, even), len(rows), bad
        else:
            yield dict(zip(headings, zip(*even, strict=True), strict=True)), len(rows), bad


def _is_misfit(row: Row, width: int) -> bool:
    return isinstance(row, BrokenRow) or (len(row) > width and not is_blank(row[width:]))


def _write(target: Path, system: System, parts: Iterator[Part], region: str, *, first_row: int) -> Translated:
    reader: pinpoint_endpoints.Endpoints | listmonk_subscribers.Subscribers
    if system is System.PINPOINT:
        reader, short_name = pinpoint_endpoints.Endpoints(region), pinpoint_endpoints.short_name
    else:
        reader, short_name = listmonk_subscribers.Subscribers(region), listmonk_subscribers.short_name
    with target.open("w", encoding="utf-8", newline="") as file:
        table = _Table(file, short_name)
        for columns, count, bad in parts:
            table.add(reader.read(columns, count, bad), count)
            del columns  # as above
        table.finish()
    if not reader.marks:
        raise Refusal(Problem("file_only_headings", "file"))
    if table.is_widened:
        _put_headings(target, table.headings)
    return Translated(
        Format(CSV, "utf-8", ",", heading_row=1, system=system.value, first_row=first_row), bytes(reader.marks)
    )


class _Table:
    """Writes rows whose columns become known as they come; the headings are those of the first rows."""

    def __init__(self, file: TextIO, short_name: Any) -> None:
        self.headings: list[str] = []
        self.is_widened = False
        """Whether columns were found after the headings had been written."""
        self._file = file
        self._short_name = short_name
        self._names: list[str] = []
        self._lists: set[str] = set()
        self._waiting: list[tuple[Columns, int]] = []
        self._rows_waiting: int | None = 0

    def add(self, columns: Columns, count: int) -> None:
        """Add rows: dotted name -> values."""
        self._name(columns)
        if self._rows_waiting is None:
            self._write_rows(columns, count)
            return
        self._lists |= {name for name, values in columns.items() if has_lists(values)}
        self._waiting.append((columns, count))
        self._rows_waiting += count
        if self._rows_waiting >= ROWS_BEFORE_HEADINGS:
            self.finish()

    def finish(self) -> None:
        """Write the headings and what waits."""
        if self._rows_waiting is not None:
            self._rows_waiting = None
            self._file.write(csv_text.lines([self.headings]))
        for columns, count in self._waiting:
            self._write_rows(columns, count)
        self._waiting = []

    def _name(self, columns: Columns) -> None:
        for name in columns:
            if name in self._names:
                continue
            short = self._short_name(name)
            taken = {heading.casefold() for heading in self.headings}
            self._names.append(name)
            heading = name if short.casefold() in taken else short
            self.headings.append(" ".join(heading.split())[:MAX_NAME])
            self.is_widened = self._rows_waiting is None
        if len(self._names) > MOST_COLUMNS:
            raise Refusal(Problem("file_too_wide", "file", {"limit": MOST_COLUMNS}))

    def _write_rows(self, columns: Columns, count: int) -> None:
        blank = [""] * count
        cells = [
            texts(columns[name], as_list=name in self._lists) if name in columns else blank for name in self._names
        ]
        rows = list(zip(*cells, strict=True))
        lines = [*map(",".join, rows)]
        if max(map(len, lines), default=0) > MAX_TEXT:  # a row with such a cell is refused for it
            rows = [tuple(cell[: MAX_TEXT + 1] for cell in row) for row in rows]
            lines = [*map(",".join, rows)]
        plain = _csv(rows, lines, len(cells))
        self._file.write(csv_text.lines(rows) if csv_text.is_unusual(plain) else plain)


def _csv(rows: Sequence[Sequence[str]], lines: Sequence[str], width: int) -> str:
    """Return rows as CSV: their cells joined by commas, `lines`, or by csv.writer where one needs quotation marks."""
    joined = "\r\n".join(lines) + "\r\n"
    is_bare = '"' not in joined and joined.count(",") == len(rows) * (width - 1)
    if is_bare and joined.count("\n") == joined.count("\r") == len(rows):
        return joined
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _put_headings(target: Path, headings: Sequence[str]) -> None:
    """Replace the first line of a table."""
    widened = target.with_name(f"{target.name}.widened")
    with target.open("rb") as file, widened.open("wb") as out:
        file.readline()
        out.write(csv_text.lines([headings]).encode())
        shutil.copyfileobj(file, out, 1 << 20)
    widened.replace(target)
