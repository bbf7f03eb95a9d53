"""Tables in files: what kind of file it is, and its rows as lists of text, in bounded memory.

CSV in whatever encoding and with whatever delimiter spreadsheet programs save it; XLSX as the values that were last
computed. Used for contacts; anything that uploads a table may use it.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import itertools
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smsapp.domain.columns import FORMULA, Row
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import has_header
from smsapp.services import workbooks
from smsapp.services.workbooks import MOST_COLUMNS

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 20
BLOCK = 1 << 16
"""Bytes or characters that are looked at together: more of them leave the processor's cache, which costs a tenth."""
GUESSED_FROM = 1 << 20
"""Bytes of a file's beginning that tell its encoding."""
MOST_LINE = 1 << 20
"""Characters of a line, or of a row with line breaks in its cells: no program writes a longer one for 300 columns."""
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Format:
    """How to read a file."""

    kind: str
    """csv or xlsx"""
    encoding: str = ""
    delimiter: str = ""
    header: bool = True
    formulas: bool = False
    """XLSX only: there are cells with formulas, which may have no stored result."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Format:
        return cls(**kept)


def recognise(path: Path) -> Format:
    """Return how to read the file; raise Refusal if it is no table that can be read."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise Refusal(Problem("file_empty", "file"))
    if start.startswith(OLD_EXCEL):
        raise Refusal(Problem("file_old_excel", "file"))
    if start.startswith(ZIP):
        found = Format("xlsx", formulas=_check_workbook(path))
    else:
        _refuse_endless_lines(path)
        encoding = _encoding(path)
        found = Format("csv", encoding, _delimiter(path, encoding))
    first = next((row for row in _rows(path, found) if row and any(row)), None)
    if first is None:
        raise Refusal(Problem("file_empty", "file"))
    if len(first) > MOST_COLUMNS:
        raise Refusal(Problem("file_too_wide", "file", {"limit": MOST_COLUMNS}))
    return Format(**{**asdict(found), "header": has_header(first)})


def head(path: Path, form: Format, count: int) -> tuple[list[str], list[Sequence[str]]]:
    """Return the headings ("" where there is none) and the first rows."""
    rows = (row for row in _rows(path, form) if row and any(row))
    found = list(itertools.islice(rows, count + 1))
    if form.header and found:
        # A table is as wide as its headings; a row with more cells is mistaken, and told so when it is read.
        return list(found[0]), [row[: len(found[0])] for row in found[1:]]
    return [""] * max(map(len, found), default=0), list(found[:count])


def chunks(path: Path, form: Format, start: int, size: int) -> Iterator[tuple[list[Row], int]]:
    """Yield lists of `size` rows after the first `start` ones, each with how many bytes of the file were read.

    The header is not among the rows. A row that cannot be read is None, an empty line is [].
    """
    with path.open("rb") as file:
        rows = _CsvRows(file, form) if form.kind == "csv" else _XlsxRows(path, form)
        skip = start + (1 if form.header else 0)
        total, done = path.stat().st_size, start
        while skip > 0:
            skip -= len(rows.take(min(skip, size))) or skip
        while chunk := rows.take(size):
            done += len(chunk)
            yield chunk, file.tell() if form.kind == "csv" else min(total, total * done // max(1, rows.total))


def row_number(form: Format, position: int) -> int:
    """Return the number a person sees for the row at `position` (from 0), counting the header."""
    return position + (2 if form.header else 1)


def _rows(path: Path, form: Format) -> Iterator[Row]:
    for chunk, _read in chunks(path, Format(**{**asdict(form), "header": False}), 0, SAMPLE_ROWS):
        yield from chunk


# CSV


class _CsvRows:
    """Rows of a CSV file; a row with an error in it is None, and reading goes on after it."""

    total = 0

    def __init__(self, file: io.BufferedReader, form: Format) -> None:
        # Kept, because it closes the file when it goes.
        self._text = io.TextIOWrapper(file, encoding=form.encoding, errors="replace", newline="")
        self._rows = csv.reader(itertools.chain.from_iterable(self._blocks()), delimiter=form.delimiter)
        self._before = 0
        """Rows handed out by earlier calls of `take`."""
        self._taken: list[Row] = []

    def take(self, count: int) -> list[Row]:
        """Return the next rows, at most `count`; none at the end."""
        self._before += len(self._taken)
        taken = self._taken = []
        while len(taken) < count:
            try:
                taken.extend(itertools.islice(self._rows, count - len(taken)))
            except csv.Error:
                # The rows before the faulty one are taken already.
                taken.append(None)
                continue
            break
        if max(map(len, filter(None, taken)), default=0) > MOST_COLUMNS:
            return [row if row is None or len(row) <= MOST_COLUMNS else _cut(row) for row in taken]
        return taken

    def _blocks(self) -> Iterator[list[str]]:
        """Yield the lines, many at a time; raise Refusal if no row has ended in so many."""
        length = 0
        while lines := self._text.readlines(BLOCK):
            rows = self._before + len(self._taken)
            yield lines
            length = length + sum(map(len, lines)) if self._before + len(self._taken) == rows else 0
            if length >= MOST_LINE:
                raise Refusal(Problem("file_line_too_long", "file"))


def _refuse_endless_lines(path: Path) -> None:
    """Raise Refusal if a line has no end for a long while: reading it would take the whole file into memory.

    Looked at once, before anything is read, because a look at every line costs a fifth of an import.
    """
    with path.open("rb") as file:
        while len(block := file.read(MOST_LINE)) == MOST_LINE:
            if b"\n" not in block and b"\r" not in block:
                raise Refusal(Problem("file_line_too_long", "file"))


def _cut(row: Sequence[str]) -> list[str]:
    """Return a row with one cell more than there may be columns, if there is anything in the cells behind."""
    return [*row[:MOST_COLUMNS], *itertools.islice(filter(None, row[MOST_COLUMNS:]), 1)]


def _encoding(path: Path) -> str:
    """Return the encoding: by its mark, else UTF-8 if the whole file is that, else GB18030 (which includes GBK)."""
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
    for encoding in ("utf-8", "gb18030"):
        if _is_all(path, encoding):
            return encoding
    if b"\x00" in start:
        raise Refusal(Problem("file_no_table", "file"))
    # Damaged in places: the rows concerned are refused one by one.
    return "utf-8" if _is_mostly_utf8(path) else "gb18030"


def _is_all(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _is_mostly_utf8(path: Path) -> bool:
    with path.open("rb") as file:
        block = file.read(GUESSED_FROM)
    return block.decode("utf-8", "replace").count("\ufffd") <= block.decode("gb18030", "replace").count("\ufffd")


def _delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns, all alike."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        lines = [line for line in itertools.islice(file, SAMPLE_ROWS) if line.strip()]
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        (width, alike), *_rest = widths.most_common(1) or [(0, 0)]
        score = (alike / max(1, len(lines)), width)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


# XLSX


def _check_workbook(path: Path) -> bool:
    """Return whether a sheet holds formulas; raise Refusal if the file is damaged or unfolds to too much."""
    try:
        with path.open("rb") as file:
            sheets = workbooks.check(file)
            if not sheets:
                raise Refusal(Problem("file_no_table", "file"))
            with zipfile.ZipFile(file) as archive:
                return any(_holds_formula(archive, name) for name in sheets)
    except workbooks.DAMAGED:
        raise Refusal(Problem("file_damaged", "file")) from None


def _holds_formula(archive: zipfile.ZipFile, name: str) -> bool:
    rest = b""
    with archive.open(name) as file:
        while block := file.read(BLOCK):
            if b"<f>" in (joined := rest + block) or b"<f " in joined or b"<f/>" in joined:
                return True
            rest = block[-4:]
    return False


class _XlsxRows:
    """Rows of the first sheet of a workbook as text."""

    def __init__(self, path: Path, form: Format) -> None:
        try:
            sheet = workbooks.first_sheet(path.open("rb"), formulas=form.formulas)
            self.total = sheet.max_row or 0
            self._rows = self._read(workbooks.rows(sheet))
            # One reading gives the formulas, another their stored results: where there is none, that is told.
            self._results = workbooks.rows(workbooks.first_sheet(path.open("rb"))) if form.formulas else iter(())
            self._at, self._held = 0, list[Any]()
        except workbooks.DAMAGED:
            raise Refusal(Problem("file_damaged", "file")) from None

    def take(self, count: int) -> list[Row]:
        """Return the next rows, at most `count`; none at the end. Empty cells at a row's end are left out."""
        try:
            return list(itertools.islice(self._rows, count))
        except workbooks.DAMAGED:
            raise Refusal(Problem("file_damaged", "file")) from None

    def _read(self, rows: Iterator[workbooks.Cells]) -> Iterator[Row]:
        at = 0
        for number, values, formulas in rows:
            for _gap in range(at + 1, number):
                yield []
            at = number
            cells = [_cell(value) for value in values]
            for place in formulas:
                cells[place] = self._result(number, place)
            while cells and not cells[-1]:
                cells.pop()
            yield cells

    def _result(self, number: int, place: int) -> str:
        while self._at < number:
            self._at, self._held, _formulas = next(self._results, (workbooks.MOST_ROWS, [], []))
        value = self._held[place] if self._at == number and place < len(self._held) else None
        return FORMULA if value is None else _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)
