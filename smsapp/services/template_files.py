"""Reads files of SMS templates: CSV, JSON, YAML and XLSX become records with row numbers; a bad row spoils no other."""

from __future__ import annotations

import codecs
import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import openpyxl
import yaml
from openpyxl.utils.exceptions import InvalidFileException

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.template_file import COLUMNS, Record, column, header_problems

MOST_BYTES = 10 * 1024 * 1024
MOST_INFLATED = 200 * 1024 * 1024
MOST_ROWS = 20_000
KINDS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".xlsx": "xlsx"}


@dataclass(frozen=True)
class Sheet:
    """What a file holds: its records in order, and what is wrong with its columns (with the row that shows it)."""

    records: list[Record]
    problems: list[tuple[int, Problem]]
    with_code: bool
    """The file has a column of provider codes."""


def read(name: str, content: bytes) -> Sheet:
    """Return the records of a file; raises Refusal if it cannot be used at all."""
    kind = KINDS.get(PurePath(name).suffix.lower())
    if content.startswith(b"PK\3\4"):
        kind = "xlsx"  # Excel files often come named .csv
    if kind is None:
        raise Refusal(Problem("template_file_kind_unknown", "file", {"known": ", ".join(KINDS)}))
    if len(content) > MOST_BYTES:
        raise Refusal(Problem("template_file_too_large", "file", {"most": MOST_BYTES // 1024 // 1024}))
    if not content.strip():
        raise Refusal(Problem("template_file_empty", "file"))
    sheet = _READERS[kind](content)
    if not sheet.records:
        raise Refusal(Problem("template_file_without_rows", "file"))
    return sheet


def _text(content: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            encodings: tuple[str, ...] = (encoding,)
            break
    else:
        encodings = ("utf-8", "gb18030")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refusal(Problem("template_file_encoding_unknown", "file"))


def _read_csv(content: bytes) -> Sheet:
    text = _text(content)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter, strict=True)
    return _table(_numbered(rows))


def _numbered(rows: Iterable[list[str]]) -> Iterator[tuple[int, list[str] | Problem]]:
    """Yield rows as spreadsheets count them; a row where the quoting breaks is the last, as a problem."""
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            yield number, row
    except csv.Error:
        yield number + 1, Problem("template_row_quotes", "file")


def _read_xlsx(content: bytes) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_INFLATED:
                raise Refusal(Problem("template_file_too_large", "file", {"most": MOST_BYTES // 1024 // 1024}))
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        return _table(_cells(book.worksheets[0].iter_rows()))
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, OSError, IndexError) as error:
        # openpyxl lets whatever its XML and zip readers raise come through.
        raise Refusal(
            Problem("template_file_unreadable", "file", {"kind": "XLSX", "why": type(error).__name__})
        ) from error


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, list[str] | Problem]]:
    for number, row in enumerate(rows, 1):
        formula = next((cell for cell in row if cell.data_type == "f"), None)
        if formula is None:
            yield number, [_written(cell.value) for cell in row]
        else:
            yield number, Problem("template_row_formula", "file", {"cell": formula.coordinate})


def _written(value: object) -> str:
    """Return a cell or scalar as a person would type it: codes kept as numbers lose no digit and gain no ".0"."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _table(rows: Iterator[tuple[int, list[str] | Problem]]) -> Sheet:
    headers: list[str] = []
    header_row = 0
    for number, cells in rows:
        if not isinstance(cells, Problem) and any(cell.strip() for cell in cells):
            headers, header_row = [cell.strip() for cell in cells], number
            break
    meanings = [column(header) for header in headers]
    if "text" not in meanings:
        raise Refusal(Problem("template_columns_missing", "file", {"known": ", ".join(COLUMNS)}))
    places = {meaning: meanings.index(meaning) for meaning in meanings if meaning}
    records = []
    for number, cells in rows:
        if isinstance(cells, Problem):
            records.append(Record(number, {}, (cells,)))
        elif any(cell.strip() for cell in cells):
            too_many = any(cell.strip() for cell in cells[len(headers) :])
            padded = [*cells, *[""] * (len(headers) - len(cells))]
            values = {meaning: padded[place] for meaning, place in places.items()}
            problem = (Problem("template_row_too_long", "file", {"cells": len(cells), "columns": len(headers)}),)
            records.append(Record(number, values, problem if too_many else ()))
        _not_too_many(records)
    return Sheet(records, [(header_row, problem) for problem in header_problems(headers)], "code" in places)


def _read_json(content: bytes) -> Sheet:
    try:
        # Numbers stay as they are written: a code 00123 or 1e5 is a name, not a quantity.
        found = json.loads(_text(content), parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise _unreadable("JSON", getattr(error, "lineno", None)) from error
    return _list(found)


def _read_yaml(content: bytes) -> Sheet:
    try:
        # BaseLoader makes nothing but text, lists and mappings: no objects, and 0012 stays 0012.
        found = yaml.load(_text(content), Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        raise _unreadable("YAML", error.problem_mark.line + 1 if error.problem_mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable("YAML", None) from error
    return _list(found)


def _unreadable(kind: str, line: int | None) -> Refusal:
    if line is None:
        return Refusal(Problem("template_file_unreadable", "file", {"kind": kind, "why": "?"}))
    return Refusal(Problem("template_file_unreadable_at", "file", {"kind": kind, "line": line}))


def _list(found: object) -> Sheet:
    if isinstance(found, dict) and isinstance(found.get("templates"), list):
        found = found["templates"]
    if not isinstance(found, list):
        raise Refusal(Problem("template_file_without_list", "file"))
    _not_too_many(found)
    records, problems, complained = [], list[tuple[int, Problem]](), set[str]()
    for number, item in enumerate(found, 1):
        if not isinstance(item, dict):
            records.append(Record(number, {}, (Problem("template_row_not_object", "file"),)))
            continue
        for problem in header_problems(item):
            if problem.place not in complained:
                complained.add(problem.place)
                problems.append((number, problem))
        records.append(_record(number, item))
    if not any("text" in record.values for record in records):
        raise Refusal(Problem("template_columns_missing", "file", {"known": ", ".join(COLUMNS)}))
    return Sheet(records, problems, any("code" in record.values for record in records))


def _record(number: int, item: Mapping[str, object]) -> Record:
    values, problems = dict[str, str](), []
    for key, value in item.items():
        meaning = column(key)
        if meaning is None or meaning in values:
            continue
        if isinstance(value, (dict, list)):
            problems.append(Problem("template_row_value_not_text", meaning, {"column": key}))
        values[meaning] = "" if value in {"~", "null"} else _written(value)
    return Record(number, values, tuple(problems))


def _not_too_many(rows: list[Any]) -> None:
    if len(rows) > MOST_ROWS:
        raise Refusal(Problem("template_file_too_many_rows", "file", {"most": MOST_ROWS}))


_READERS = {"csv": _read_csv, "json": _read_json, "yaml": _read_yaml, "xlsx": _read_xlsx}
