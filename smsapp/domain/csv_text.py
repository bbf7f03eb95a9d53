"""CSV that spreadsheets open as it is meant: UTF-8 with a mark, and no cell that they would take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MARK = "\ufeff"
"""At the start of the file; without it Excel takes UTF-8 for the local code page."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: object) -> object:
    """Return a cell that no spreadsheet calculates: an apostrophe is put before what would begin a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Return these rows as CSV text with Windows line ends, every cell made safe."""
    text = io.StringIO()
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue()
