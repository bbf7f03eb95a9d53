"""Files that are small and unfold to much are refused before they take the process with them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from smsapp.domain.cells import FORMULA
from smsapp.domain.errors import Refusal
from smsapp.services.tables import formats, reading, recognition, workbooks

ROWS = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'


def book(rows: str = ROWS, /, **parts: bytes) -> bytes:
    """Return a workbook of these rows, with members put in the place of its own or added."""
    made, out = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(made)
    sheet = f'<worksheet xmlns="{SHEET_MAIN_NS}"><sheetData>{rows}</sheetData></worksheet>'
    changed = {"xl/worksheets/sheet1.xml": sheet.encode(), **parts}
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, content in changed.items():
            new.writestr(name, content)
    return out.getvalue()


def read(path: Path) -> list[Any]:
    return [row for rows, _read in reading.chunks(path, recognition.recognise(path), 0, 1000) for row in rows]


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        read(path)
    return refusal.value.problems[0].code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("name", ["xl/styles.xml", "xl/other.xml", "docProps/app.xml", "xl/worksheets/extra.xml"])
def test_a_part_that_unfolds_to_much_is_refused(path: Path, name: str) -> None:
    content = book(**{name: b" " * (workbooks.MOST_PART + 1)})
    assert len(content) < 100_000
    assert refused(path, content) == "file_unpacks_too_large"


def test_shared_texts_are_limited_under_any_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_SHARED_TEXT", workbooks.MOST_PART + 2)
    made = io.BytesIO()
    openpyxl.Workbook().save(made)
    with zipfile.ZipFile(made) as archive:
        types = archive.read("[Content_Types].xml")
    types = types.replace(
        b"</Types>", f'<Override PartName="/xl/texts.xml" ContentType="{SHARED_STRINGS}" /></Types>'.encode()
    )
    texts = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
    parts = {"[Content_Types].xml": types, "xl/texts.xml": texts.ljust(workbooks.MOST_PART + 1)}
    path.write_bytes(book(**parts))
    assert recognition.recognise(path).kind == "xlsx"
    parts["xl/texts.xml"] += b"  "
    assert refused(path, book(**parts)) == "file_unpacks_too_large"


def test_a_row_number_beyond_a_sheet_is_refused(path: Path) -> None:
    row = '<row r="20000000"><c r="A20000000"><v>3</v></c></row>'
    assert refused(path, book(ROWS + row)) == "file_too_many_rows"


def test_missing_rows_are_empty_up_to_a_limit(path: Path) -> None:
    near = '<row r="4"><c r="A4"><v>4</v></c></row>'
    far = '<row r="20005"><c r="A20005"><v>5</v></c></row>'
    path.write_bytes(book(ROWS + near + far))
    form = recognition.recognise(path)
    [(rows, _read)] = reading.chunks(path, formats.Format("xlsx"), 0, 30_000)
    assert (form.kind, rows) == ("xlsx", [["1", "2"], [], [], ["4"]])


def test_a_row_that_does_not_end_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_ROW", 1 << 20)
    cells = '<c r="A1"><v>1</v></c>' * 100_000
    assert refused(path, book(f'<row r="1">{cells}</row>')) == "file_unpacks_too_large"


def test_a_table_of_more_columns_than_a_contact_has_properties_is_refused(path: Path) -> None:
    assert refused(path, book('<row r="1"><c r="ZZ1"><v>1</v></c></row>')) == "file_too_wide"
    assert refused(path, (",".join("abc" for _ in range(302)) + "\n1\n").encode()) == "file_too_wide"
    path.write_bytes((",".join("abc" for _ in range(301)) + ",,,\n1\n").encode())
    assert recognition.recognise(path).kind == "csv"


def test_a_wide_row_further_down_is_cut_and_known_as_too_wide(path: Path) -> None:
    path.write_bytes(b"id,a\n1,2\n3,4" + b"," * 5000 + b"x\n")
    [(rows, _read)] = reading.chunks(path, recognition.recognise(path), 0, 10)
    assert rows[0] == ["1", "2"]
    assert rows[1] is not None
    assert (len(rows[1]), rows[1][-1]) == (302, "x")


@pytest.mark.parametrize("content", [b"a,b " * 300_000, b"id,a\n" + b'"\n",' * 1_200_000])
def test_a_csv_without_ends_of_rows_is_refused(path: Path, content: bytes) -> None:
    assert refused(path, content) == "file_line_too_long"


def test_a_formula_without_result_is_told_also_where_nothing_else_stands_in_its_row(path: Path) -> None:
    formula = '<row r="2"><c r="A2"><f>1+1</f></c></row><row r="3"><c r="A3"><f>1+2</f><v>3</v></c></row>'
    path.write_bytes(book(ROWS + formula))
    form = recognition.recognise(path)
    [(rows, _read)] = reading.chunks(path, formats.Format("xlsx", formulas=form.formulas), 0, 10)
    assert rows == [["1", "2"], [FORMULA], ["3"]]
