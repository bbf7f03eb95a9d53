"""The rows of a table of any kind: the first ones as a sample, and all of them in chunks."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from smsapp.domain.cells import FORMULA, Row, is_blank
from smsapp.domain.storable import storable
from smsapp.services.tables.csv_rows import CsvRows
from smsapp.services.tables.formats import CSV, Format
from smsapp.services.tables.xlsx_rows import XlsxRows

BEGINNING = 1 << 20
SAMPLE_ROWS = 120
"""Rows of a file's sample."""
LONGEST_CELL = 255
"""Characters of a cell in a sample."""


def chunks(path: Path, form: Format, start: int, size: int) -> Iterator[tuple[list[Row], int]]:
    """Yield lists of `size` rows after the first `start` ones, each with how many bytes of the file were read.

    The headings and the rows above them are left out. An empty line is [], a row that cannot be read a BrokenRow.
    """
    with path.open("rb") as file:
        rows = CsvRows(file, form) if form.kind == CSV else XlsxRows(path, form)
        skip = start + form.heading_row
        total, position = path.stat().st_size, start
        while skip > 0:
            skip -= len(rows.take(min(skip, size))) or skip
        while chunk := rows.take(size):
            position += len(chunk)
            yield (
                chunk,
                file.tell() if isinstance(rows, CsvRows) else min(total, total * position // max(1, rows.total)),
            )


def numbered(path: Path, form: Format, size: int = 1000) -> Iterator[tuple[int, Row]]:
    """Yield (row number, row) of every row below the headings that is not empty."""
    position = 0
    for rows, _read in chunks(path, form, 0, size):
        for row in rows:
            if not is_blank(row):
                yield row_number(form, position), row
            position += 1


def row_number(form: Format, position: int) -> int:
    """Return the number that people see of the row at `position` (from 0) below the headings."""
    return position + (form.first_row or form.heading_row + 1)


def sample(path: Path, form: Format, count: int = SAMPLE_ROWS) -> list[list[str]]:
    """Return the first rows of a file, unchanged, including the headings and the rows above them."""
    if form.kind == CSV:
        rows = CsvRows(io.BytesIO(beginning(path)), form).take(count)
        # The last row may be incomplete.
        rows = rows[:-1] if 1 < len(rows) < count and path.stat().st_size > BEGINNING else rows
    else:
        rows = XlsxRows(path, form).take(count)
    return [[storable(cell.replace(FORMULA, "=?"), LONGEST_CELL) for cell in row] for row in rows]


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file, so that guesses and previews cost the same for every file."""
    with path.open("rb") as file:
        return file.read(BEGINNING)


def parted(rows: Sequence[Sequence[str]], form: Format) -> tuple[list[str], list[Sequence[str]]]:
    """Return the headings ("" where there is none) and the rows below them, of rows as `sample` gives them."""
    below = [row for row in rows[form.heading_row :] if not is_blank(row)]
    if form.header:
        # A table is as wide as its headings; a row with more cells is refused when it is read.
        headings = trimmed(rows[form.heading_row - 1]) if form.heading_row <= len(rows) else []
        return headings, [row[: len(headings)] for row in below]
    return [""] * max(map(len, below), default=0), below


def trimmed(row: Sequence[str]) -> list[str]:
    """Return the cells without the empty ones at the end."""
    end = max((i for i, cell in enumerate(row, 1) if cell.strip()), default=0)
    return list(row[:end])


def head(path: Path, form: Format, count: int) -> tuple[list[str], list[Sequence[str]]]:
    """Return the headings ("" where there is none) and the first rows below them."""
    headings, below = parted(sample(path, form, count + form.heading_row + SAMPLE_ROWS), form)
    return headings, below[:count]
