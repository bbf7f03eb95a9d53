"""XLSX files with limits: a small file must not unpack to more than a spreadsheet program would write."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import ARC_CONTENT_TYPES, SHARED_STRINGS, WORKSHEET_TYPE
from openpyxl.xml.functions import fromstring

from smsapp.domain.errors import Problem, Refusal
from smsapp.services.tables.formats import MOST_COLUMNS
from smsapp.services.tables.shared_texts import read_shared_texts

MOST_ROWS = 1_048_576
"""Excel's own limit."""
MOST_EMPTY_ROWS = 10_000
"""After so many empty rows reading ends."""
MOST_UNPACKED = 4 << 30
MOST_PART = 16 << 20
"""Unpacked bytes of each part that is neither a sheet nor the shared texts: styles, relations, themes."""
MOST_SHARED_TEXT = 256 << 20
"""Unpacked bytes of the shared texts, which are kept in memory while the file is read."""
MOST_ROW = 64 << 20
"""Bytes of XML between one row and the next."""
SHEETS = "xl/worksheets/"

DAMAGED = (
    InvalidFileException,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    SyntaxError,
    EOFError,
    OSError,
    RuntimeError,
)
"""openpyxl passes on whatever its XML and zip readers raise."""

Cells = tuple[int, list[Any], list[int]]
"""A row's number from 1, its values, and the places of those that are formulas."""


def check(file: BinaryIO, most: int = MOST_UNPACKED) -> list[str]:
    """Return the members that are sheets; raise Refusal if the file unpacks to too much, one of DAMAGED otherwise."""
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member.file_size for member in archive.infolist()}
        if sum(members.values()) > most or members[ARC_CONTENT_TYPES] > MOST_PART:
            raise _too_large()
        manifest = fromstring(archive.read(ARC_CONTENT_TYPES))
    content_types = {part.get("PartName", "").lstrip("/"): part.get("ContentType") for part in manifest}
    sheets = [name for name in members if name.startswith(SHEETS) and content_types.get(name) == WORKSHEET_TYPE]
    for name in members.keys() - set(sheets):
        if members[name] > (MOST_SHARED_TEXT if content_types.get(name) == SHARED_STRINGS else MOST_PART):
            raise _too_large()
    return sheets


def first_sheet(file: BinaryIO, *, formulas: bool = False) -> Any:
    """Return openpyxl's first sheet of a checked file; `formulas`: with formulas instead of their results."""
    reader = _Reader(file, read_only=True, keep_links=False, data_only=not formulas)
    reader.read()
    return reader.wb.worksheets[0]


def rows(sheet: Any) -> Iterator[Cells]:
    """Yield the rows of a sheet that are not empty; raise Refusal or one of DAMAGED.

    A cell beyond MOST_COLUMNS counts as the first one beyond it. An error (#N/A) is no value.
    """
    book, at = sheet.parent, 0
    with _Source(sheet._get_source()) as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=book.data_only,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for number, cells in parser.parse():
            source.since = 0
            filled_cells = [cell for cell in cells if cell["value"] is not None or cell["data_type"] == "f"]
            if number > MOST_ROWS:
                raise Refusal(Problem("file_too_many_rows", "file", {"limit": MOST_ROWS}))
            if number - at > MOST_EMPTY_ROWS:
                return
            if filled_cells and number > at:
                at = number
                yield _dense(number, filled_cells)


def _dense(number: int, cells: list[dict[str, Any]]) -> Cells:
    places = [min(cell["column"], MOST_COLUMNS + 1) - 1 for cell in cells]
    values: list[Any] = [None] * (max(places) + 1)
    for place, cell in zip(places, cells, strict=True):
        values[place] = None if cell["data_type"] == "e" else cell["value"]
    return number, values, [place for place, cell in zip(places, cells, strict=True) if cell["data_type"] == "f"]


def _too_large() -> Refusal:
    return Refusal(Problem("file_unpacks_too_large", "file"))


class _Reader(ExcelReader):
    """Skips chart sheets: they hold no rows, and would be kept in memory as a whole."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)  # type: ignore[no-untyped-call]
        if part is not None:
            with self.archive.open(part.PartName[1:]) as file:
                self.shared_strings = read_shared_texts(file)

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        return


class _Source:
    """The XML of a sheet; a row that does not end is refused."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.since = 0
        """Bytes since the last row."""

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._file.read(size)
        self.since += len(block)
        if self.since > MOST_ROW:
            raise _too_large()
        return block
