"""Rows of CSV and XLSX files that fit into memory, as spreadsheets count them, in any encoding and separator."""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from smsapp.domain.errors import Problem, Refusal

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
            yield number, row
    except csv.Error:
        yield number + 1, Problem("sheet_quotes", "file")


def xlsx_rows(content: bytes) -> Iterator[Row]:
    """Yield the rows of the first sheet; a row with a formula is a Problem, because nobody knows its value."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_INFLATED:
                raise Refusal(Problem("sheet_too_large", "file", {"most": MOST_BYTES // 1024 // 1024}))
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        for number, row in enumerate(book.worksheets[0].iter_rows(), 1):
            formula = next((cell for cell in row if cell.data_type == "f"), None)
            if formula is None:
                yield number, [written(cell.value) for cell in row]
            else:
                yield number, Problem("sheet_formula", "file", {"cell": formula.coordinate})
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, OSError, IndexError) as error:
        # openpyxl lets whatever its XML and zip readers raise come through.
        raise Refusal(Problem("sheet_unreadable", "file", {"kind": "XLSX"})) from error


def written(value: Any) -> str:
    """Return a cell as a person would type it: whole numbers gain no ".0"."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
