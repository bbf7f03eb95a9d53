"""Rows of CSV and XLSX files that fit into memory, as spreadsheets count them, in any encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from openpyxl.utils import get_column_letter

from smsapp.domain.errors import Problem, Refusal
from smsapp.services import workbooks

MOST_BYTES = 32 * 1024 * 1024
MOST_INFLATED = 512 * 1024 * 1024
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
CSV_KINDS, XLSX_KINDS = (".csv", ".txt", ".tsv"), (".xlsx",)

Row = tuple[int, list[str] | Problem]
"""A row's number from 1 and its cells, or why they cannot be read."""


def kind(name: str, content: bytes) -> str:
    """Return the kind of a file as the ending of its name tells, ".xlsx" also for Excel files with another name."""
    return ".xlsx" if content.startswith(b"PK\3\4") else PurePath(name).suffix.lower()


def rows(name: str, content: bytes) -> Iterator[Row]:
    """Yield the rows of a CSV, text or XLSX file; raises Refusal, at the first row, if it is none of these."""
    found = kind(name, content)
    if found not in CSV_KINDS + XLSX_KINDS:
        raise Refusal(Problem("sheet_kind_unknown", "file", {"known": ", ".join(CSV_KINDS + XLSX_KINDS)}))
    check_size(content)
    yield from xlsx_rows(content) if found in XLSX_KINDS else csv_rows(decoded(content))


def check_size(content: bytes) -> None:
    """Raise Refusal for a file that is empty or larger than anybody needs."""
    if len(content) > MOST_BYTES:
        raise Refusal(Problem("sheet_too_large", "file", {"most": MOST_BYTES // 1024 // 1024}))
    if not content.strip():
        raise Refusal(Problem("sheet_empty", "file"))


def decoded(content: bytes) -> str:
    """Return the text of a file: by its byte order mark, else UTF-8, else GBK (GB 18030); raises Refusal."""
    marked = tuple(encoding for mark, encoding in BOMS if content.startswith(mark))
    for encoding in marked or ("utf-8", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refusal(Problem("sheet_encoding_unknown", "file"))


def csv_rows(text: str) -> Iterator[Row]:
    """Yield the rows of a text separated by comma, semicolon or tab; a Problem is the last where the quoting breaks."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    number = 0
    try:
        reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter, strict=True)
        for number, row in enumerate(reader, 1):
            wide = len(row) > workbooks.MOST_COLUMNS
            yield number, Problem("file_too_wide", "file", {"limit": workbooks.MOST_COLUMNS}) if wide else row
    except csv.Error:
        yield number + 1, Problem("sheet_quotes", "file")


def xlsx_rows(content: bytes) -> Iterator[Row]:
    """Yield the rows of the first sheet; a row with a formula is a Problem, because nobody knows its value."""
    file = io.BytesIO(content)
    try:
        workbooks.check(file, MOST_INFLATED)
        for number, values, formulas in workbooks.rows(workbooks.first_sheet(file, formulas=True)):
            if formulas:
                cell = f"{get_column_letter(formulas[0] + 1)}{number}"
                yield number, Problem("sheet_formula", "file", {"cell": cell})
            else:
                yield number, [written(value) for value in values]
    except workbooks.DAMAGED as error:
        raise Refusal(Problem("sheet_unreadable", "file", {"kind": "XLSX"})) from error


def written(value: Any) -> str:
    """Return a cell as a person would type it: whole numbers gain no ".0"."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
