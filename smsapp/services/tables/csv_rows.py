"""Rows of CSV files. Well-formed text is parsed in bulk, in C; where quotation marks are wrong, row by row.

A row that cannot be read (its quotation marks are open or in the middle of a cell) costs no other row: reading goes on
at the next line that is a row of the table by itself, and the text in between is reported with the bad row.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

from smsapp.domain import csv_text
from smsapp.domain.cells import BrokenRow, Row
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.tables.formats import MOST_COLUMNS, Format

BLOCK = 1 << 16
"""Characters parsed together; more would not fit the processor's cache (bench/contacts_import.py)."""
MOST_LINE = 1 << 20
"""Characters of a line, or of a row with line breaks in its cells: no program writes a longer one for 300 columns."""
MOST_REREAD = 256 << 20
"""Characters parsed again after rows that cannot be read: more are no accident but an attack."""
REST = 20
"""Lines after a row that cannot be read in which the next row is searched."""
MOST_KEPT = 1 << 15
"""Stored characters of a row that cannot be read."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*\r?\n?', re.IGNORECASE)
"""A first line that Excel interprets and does not show."""


def separator_of(first_line: str) -> str | None:
    """Return the separator that a file's first line names ("sep=;"), None if it is an ordinary line."""
    match = SEPARATOR_LINE.fullmatch(without_marks(first_line))
    return match[1] if match else None


def without_marks(first_line: str) -> str:
    """Return a file's first line without byte-order marks."""
    return first_line.lstrip("\ufeff")


class CsvRows:
    """Rows of a CSV file, in the order of the file."""

    def __init__(self, file: BinaryIO, form: Format) -> None:
        # Stored, because it closes the file when it is collected.
        self._text = io.TextIOWrapper(file, encoding=form.encoding, errors="replace", newline="")
        self._delimiter = form.delimiter
        blanks = " " if form.delimiter == "\t" else " \t"
        self._blank_after_quote = re.compile(rf'(?<!")"[{blanks}]+(?={re.escape(form.delimiter)}|[\r\n]|\Z)')
        first = self._text.readline(MOST_LINE)
        self._open = [] if not first or separator_of(first) else [without_marks(first)]
        """Lines of a row that has not ended yet."""
        self._ready: list[Row] = []
        self._width = 0
        """Cells of the first row that is not empty."""
        self._reread = 0
        self._quoted = False
        """Whether the block has a quotation mark: blanks before one are no part of its cell."""
        self._at_end = False

    def take(self, count: int) -> list[Row]:
        """Return the next rows, at most `count`; none at the end. An empty line is []."""
        while len(self._ready) < count and not self._at_end:
            self._read_block()
        rows, self._ready = self._ready[:count], self._ready[count:]
        return rows

    def _read_block(self) -> None:
        lines = self._text.readlines(BLOCK)
        self._at_end = not lines
        if self._open:
            lines, self._open = self._open + lines, []
        text = "".join(lines)
        self._quoted = '"' in text
        rows: list[Row] = []
        if self._read_good(lines, rows) < len(lines) or len(rows) < len(lines):
            rows = self._read_carefully(lines)
        if not self._width:
            self._width = next((len(row) for row in rows if any(row)), 0)
        if csv_text.is_unusual(text):
            rows = [[*map(csv_text.plain, row)] if isinstance(row, list) else row for row in rows]
        if max(map(len, rows), default=0) > MOST_COLUMNS:
            rows = [row if len(row) <= MOST_COLUMNS else _cut(row) for row in rows]
        self._ready += rows

    def _reader(self, lines: Sequence[str], *, strict: bool = True) -> Any:
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=self._quoted, strict=strict)

    def _read_good(self, lines: Sequence[str], rows: list[Row]) -> int:
        """Append the rows before the first one that cannot be read; return their number of lines."""
        reader = self._reader(lines)
        before, used = len(rows), 0
        try:
            rows.extend(reader)
            return len(lines)
        except csv.Error:
            # The good rows are in `rows`; a second pass over them finds the line at which the last one ends.
            good = len(rows) - before
            second_reader = self._reader(lines)
            for _row in itertools.islice(second_reader, good):
                used = second_reader.line_num
            return used

    def _read_carefully(self, lines: Sequence[str]) -> list[Row]:
        """Return the rows of these lines; the lines of a row that has not ended are put into `_open`."""
        rows: list[Row] = []
        while lines:
            lines = lines[self._read_good(lines, rows) :]
            if not lines:
                break
            self._width = self._width or next((len(row) for row in rows if any(row)), 0)
            mended = self._mended(lines[0])
            end = 1 if mended else self._end_of_broken(lines)
            if not end:
                self._open = list(lines)
                break
            rows.append(mended or self._broken("".join(lines[:end])[:MOST_KEPT]))
            lines = lines[end:]
        return rows

    def _mended(self, line: str) -> list[str] | None:
        """Return the cells of a line whose only fault is blanks between a quotation mark and a separator, or None."""
        try:
            return next(self._reader([self._blank_after_quote.sub('"', line)]), None)
        except csv.Error:
            return None

    def _end_of_broken(self, lines: Sequence[str]) -> int:
        """Return how many lines belong to the unreadable row that begins here; 0 if more lines are needed to decide."""
        forgiving = self._reader([*lines, "\n"], strict=False)
        try:
            next(forgiving)
            end = int(forgiving.line_num)
        except csv.Error:
            end = len(lines) + 1
        is_open, length = end > len(lines), sum(map(len, lines))
        too_few = is_open or 1 < end > len(lines) - REST
        if too_few and not self._at_end and length < MOST_LINE:
            return 0
        self._reread += length
        if self._reread > MOST_REREAD:
            raise Refusal(Problem("file_quotes", "file"))
        # The next line may be the second line of a cell whose first one was taken for the end of the open row.
        for i in range(1, min(end + REST, len(lines)) if end > 1 else 1):
            if self._is_row(lines[i]):
                return i
        if is_open and not self._at_end:
            raise Refusal(Problem("file_line_too_long", "file"))
        return min(end + REST if end > 1 and self._at_end else end, len(lines))

    def _is_row(self, line: str) -> bool:
        """Return whether the line begins a row of the table, whether its quotation marks are right or wrong."""
        try:
            return len(next(self._reader([line]))) == self._width
        except csv.Error:
            # Its quotation marks are wrong, so the number of separators decides.
            return line.count(self._delimiter) + 1 == self._width

    def _broken(self, text: str) -> BrokenRow:
        """Return the recognisable cells of these lines; the last one contains the remaining text."""
        lines = io.StringIO(text, newline="").readlines()
        reader = self._reader(lines, strict=False)
        try:
            cells: list[str] = next(reader, [])
            tail = "".join(lines[reader.line_num :])
        except csv.Error:
            cells, tail = text.split(self._delimiter), ""
        last = ("\n".join([*(cell.rstrip("\r\n") for cell in cells[-1:]), *([tail] if tail else [])])).rstrip("\r\n")
        return BrokenRow([*cells[:-1], last][:MOST_COLUMNS])


def _cut(row: Row) -> Row:
    """Cut a row to the allowed columns, plus one cell if any cell beyond them is not empty."""
    return [*row[:MOST_COLUMNS], *itertools.islice(filter(None, row[MOST_COLUMNS:]), 1)]
