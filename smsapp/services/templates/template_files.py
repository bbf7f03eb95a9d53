"""Reads files of SMS templates: CSV, JSON, YAML and XLSX become records with row numbers; a bad row spoils no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import yaml
from openpyxl.utils import get_column_letter

from smsapp.domain.cells import FORMULA, UNREADABLE, BrokenRow, Row
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.invisible import trimmed
from smsapp.domain.template_file import COLUMNS, Record, column, header_problems
from smsapp.services.tables import limited, reading, recognition
from smsapp.services.tables.xlsx_rows import cell_text

MOST_ROWS = 20_000
MOST_YAML = 1 << 20
"""Bytes; YAML is slow to parse."""
MOST_DEPTH = 50


@dataclass(frozen=True)
class Sheet:
    """The content of a file: its records in order, and the problems of its columns as (row, problem)."""

    records: list[Record]
    problems: list[tuple[int, Problem]]
    with_code: bool
    """The file has a column of provider codes."""


def kind(name: str, content: bytes) -> str:
    """Return the kind of a file by the ending of its name; ".xlsx" also for Excel files with another name."""
    return ".xlsx" if content.startswith(b"PK\3\4") else PurePath(name).suffix.lower()


def read(name: str, content: bytes) -> Sheet:
    """Return the records of a file; raises Refusal if it cannot be used at all."""
    reader = READERS.get(kind(name, content))
    if reader is None:
        raise Refusal(Problem("sheet_kind_unknown", "file", {"known": ", ".join(READERS)}))
    limited.refuse_large(content)
    sheet = reader(content)
    if not sheet.records:
        raise Refusal(Problem("file_only_headings", "file"))
    return sheet


def _read_table(content: bytes) -> Sheet:
    with limited.small_table(content) as (path, form):
        rows = reading.numbered(path, replace(form, heading_row=0))
        header_row, first = next(rows)
        headers = [trimmed(cell) for cell in first]
        meanings = [column(header) for header in headers]
        if "text" not in meanings:
            raise Refusal(Problem("template_columns_missing", "file", {"known": ", ".join(COLUMNS)}))
        places = {meaning: meanings.index(meaning) for meaning in meanings if meaning}
        records = []
        for number, cells in rows:
            padded = [*cells, *[""] * (len(headers) - len(cells))]
            values = {meaning: padded[place] for meaning, place in places.items()}
            records.append(Record(number, values, _row_problems(number, cells, len(headers))))
            _not_too_many(records)
    return Sheet(records, [(header_row, problem) for problem in header_problems(headers)], "code" in places)


def _row_problems(number: int, cells: Row, width: int) -> tuple[Problem, ...]:
    if isinstance(cells, BrokenRow):
        return (Problem("record_bad_quotes", "file"),)
    if any(cell.strip() for cell in cells[width:]):
        return (Problem("sheet_row_too_long", "file", {"cells": len(cells), "columns": width}),)
    if FORMULA in cells:
        place = f"{get_column_letter(cells.index(FORMULA) + 1)}{number}"
        return (Problem("sheet_formula", "file", {"cell": place}),)
    return (Problem("record_bad_text", "file"),) if any(UNREADABLE in cell for cell in cells) else ()


def _read_json(content: bytes) -> Sheet:
    try:
        # Numbers stay texts as written: a code 00123 or 1e5 is a name, not a quantity.
        document = json.loads(recognition.text_of(content), parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise _unreadable("JSON", getattr(error, "lineno", None)) from error
    return _list(document)


def _read_yaml(content: bytes) -> Sheet:
    if len(content) > MOST_YAML:
        raise Refusal(Problem("sheet_yaml_too_large", "file", {"most": MOST_YAML >> 20}))
    text = recognition.text_of(content)
    try:
        _refuse_deep_yaml(text)
        # BaseLoader returns only texts, lists and mappings: no objects, and 0012 stays 0012.
        document = yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 # nosec B506
    except yaml.MarkedYAMLError as error:
        raise _unreadable("YAML", error.problem_mark.line + 1 if error.problem_mark else None) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable("YAML", None) from error
    return _list(document)


def _refuse_deep_yaml(text: str) -> None:
    """Raise RecursionError for deeply nested lists and mappings: libyaml would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise RecursionError


def _unreadable(kind: str, line: int | None) -> Refusal:
    if line is None:
        return Refusal(Problem("sheet_unreadable", "file", {"kind": kind}))
    return Refusal(Problem("sheet_unreadable_at", "file", {"kind": kind, "line": line}))


def _list(document: object) -> Sheet:
    if isinstance(document, dict) and isinstance(document.get("templates"), list):
        document = document["templates"]
    if not isinstance(document, list):
        raise Refusal(Problem("template_file_without_list", "file"))
    _not_too_many(document)
    records, problems, complained = [], list[tuple[int, Problem]](), set[str]()
    for number, item in enumerate(document, 1):
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
            values[meaning] = "" if value in ("~", "null") else cell_text(value)
    return Record(number, values, tuple(problems))


def _not_too_many(rows: list[Any]) -> None:
    if len(rows) > MOST_ROWS:
        raise Refusal(Problem("sheet_too_many_rows", "file", {"most": MOST_ROWS}))


READERS = dict.fromkeys((".csv", ".txt", ".tsv", ".xlsx"), _read_table) | {
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
