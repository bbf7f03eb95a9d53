"""Reads files of SMS templates: CSV, JSON, YAML and XLSX become records with row numbers; a bad row spoils no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.template_file import COLUMNS, Record, column, header_problems
from smsapp.services import small_files

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Sheet:
    """What a file holds: its records in order, and what is wrong with its columns (with the row that shows it)."""

    records: list[Record]
    problems: list[tuple[int, Problem]]
    with_code: bool
    """The file has a column of provider codes."""


def read(name: str, content: bytes) -> Sheet:
    """Return the records of a file; raises Refusal if it cannot be used at all."""
    reader = READERS.get(small_files.kind(name, content))
    if reader is None:
        raise Refusal(Problem("sheet_kind_unknown", "file", {"known": ", ".join(READERS)}))
    small_files.check_size(content)
    sheet = reader(content)
    if not sheet.records:
        raise Refusal(Problem("sheet_without_rows", "file"))
    return sheet


def _read_csv(content: bytes) -> Sheet:
    return _table(small_files.csv_rows(small_files.decoded(content)))


def _read_xlsx(content: bytes) -> Sheet:
    return _table(small_files.xlsx_rows(content))


def _table(rows: Iterator[small_files.Row]) -> Sheet:
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
            problem = (Problem("sheet_row_too_long", "file", {"cells": len(cells), "columns": len(headers)}),)
            records.append(Record(number, values, problem if too_many else ()))
        _not_too_many(records)
    return Sheet(records, [(header_row, problem) for problem in header_problems(headers)], "code" in places)


def _read_json(content: bytes) -> Sheet:
    try:
        # Numbers stay as they are written: a code 00123 or 1e5 is a name, not a quantity.
        found = json.loads(small_files.decoded(content), parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise _unreadable("JSON", getattr(error, "lineno", None)) from error
    return _list(found)


def _read_yaml(content: bytes) -> Sheet:
    try:
        # BaseLoader makes nothing but text, lists and mappings: no objects, and 0012 stays 0012.
        found = yaml.load(small_files.decoded(content), Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        raise _unreadable("YAML", error.problem_mark.line + 1 if error.problem_mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable("YAML", None) from error
    return _list(found)


def _unreadable(kind: str, line: int | None) -> Refusal:
    if line is None:
        return Refusal(Problem("sheet_unreadable", "file", {"kind": kind}))
    return Refusal(Problem("sheet_unreadable_at", "file", {"kind": kind, "line": line}))


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
    if records and not any("text" in record.values for record in records):
        raise Refusal(Problem("template_columns_missing", "file", {"known": ", ".join(COLUMNS)}))
    return Sheet(records, problems, any("code" in record.values for record in records))


def _record(number: int, item: Mapping[str, object]) -> Record:
    values, problems = dict[str, str](), []
    for key, value in item.items():
        meaning = column(key)
        if meaning is None or meaning in values:
            continue
        if isinstance(value, dict | list):
            problems.append(Problem("template_row_value_not_text", meaning, {"column": key}))
        else:
            # YAML's empty value arrives as it is written.
            values[meaning] = "" if value in ("~", "null") else small_files.written(value)
    return Record(number, values, tuple(problems))


def _not_too_many(rows: list[Any]) -> None:
    if len(rows) > MOST_ROWS:
        raise Refusal(Problem("sheet_too_many_rows", "file", {"most": MOST_ROWS}))


READERS = (
    dict.fromkeys(small_files.CSV_KINDS, _read_csv)
    | dict.fromkeys(small_files.XLSX_KINDS, _read_xlsx)
    | {".json": _read_json, ".yaml": _read_yaml, ".yml": _read_yaml}
)
