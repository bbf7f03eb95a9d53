"""Rows of the first sheet of a workbook as text, as a person would type them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smsapp.domain.cells import FORMULA, Row
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.tables import workbooks
from smsapp.services.tables.formats import Format

EXACT = 10**15
"""Excel keeps fifteen digits: of a number from here on the last digits may be lost."""


class XlsxRows:
    """Rows of the first sheet. Where a formula has no stored result, the cell is FORMULA."""

    def __init__(self, path: Path, form: Format) -> None:
        try:
            sheet = workbooks.first_sheet(path.open("rb"), formulas=form.formulas)
            self.total = sheet.max_row or 0
            self._rows = self._read(workbooks.rows(sheet))
            # One pass returns the formulas, another their stored results; a cell without a result is FORMULA.
            self._results = workbooks.rows(workbooks.first_sheet(path.open("rb"))) if form.formulas else iter(())
            self._at, self._values = 0, list[Any]()
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
            cells = [cell_text(value) for value in values]
            for place in formulas:
                cells[place] = self._result(number, place)
            while cells and not cells[-1]:
                cells.pop()
            yield cells

    def _result(self, number: int, place: int) -> str:
        while self._at < number:
            self._at, self._values, _formulas = next(self._results, (workbooks.MOST_ROWS, [], []))
        value = self._values[place] if self._at == number and place < len(self._values) else None
        return FORMULA if value is None else cell_text(value)


def cell_text(value: Any) -> str:
    """Return a cell's value as a person would type it: whole numbers without ".0", moments as 2024-05-26 18:53:37.

    A number whose last digits Excel has lost is written as Excel shows it (1.23E+17), so that it is no valid id.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return "" if value is None else str(value)


def _float_text(value: float) -> str:
    if abs(value) >= EXACT:
        mantissa, _e, exponent = f"{value:.14E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    return str(int(value)) if value.is_integer() else f"{value:.15g}"
