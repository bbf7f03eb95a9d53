"""CSV is opened as it was meant by spreadsheet programs, and read back the same by us."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain import csv_text

DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "\ufeff=1",
    "\u200b=1",
]
DANGEROUS += [" =1", "\u3000＝1", "\u2066-1", "'=1", "''＝1"]


@pytest.mark.parametrize("cell", DANGEROUS)
def test_what_a_spreadsheet_would_calculate_gets_an_apostrophe_in_front(cell: str) -> None:
    assert csv_text.safe(cell) == "'" + cell
    assert csv_text.plain("'" + cell) == cell


@pytest.mark.parametrize("cell", ["ok", "", "O'Brien", "'quoted'", "1-2", "a=b", "小明", " x", 5, None, -1.5])
def test_everything_else_stays_as_it_is(cell: object) -> None:
    assert csv_text.safe(cell) == cell
    assert not isinstance(cell, str) or csv_text.plain(cell) == cell


@given(st.text(alphabet="'=+-@＝＠ \t\n\ufeff\u200b甲a1#/N", max_size=8))
def test_what_we_write_we_read_back(cell: str) -> None:
    safe = str(csv_text.safe(cell))
    protected = safe != cell
    if protected or csv_text.plain(cell) == cell:
        assert csv_text.plain(safe) == cell
    if csv_text.plain(safe) != safe:
        assert csv_text.is_unusual(f"x,{safe},y")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('="U4"', "U4"),
        ('="a""b"', 'a"b'),
        ("#N/A", ""),
        ("#DIV/0!", ""),
        ("#1", "#1"),
        ("=A1", "=A1"),
        ('="a" & B', '="a" & B'),
    ],
)
def test_a_cell_of_a_csv_file_is_what_the_spreadsheet_showed(cell: str, value: str) -> None:
    assert csv_text.plain(cell) == value


def test_a_stream_is_one_file_with_a_mark_in_front() -> None:
    rows: list[list[object]] = [["id", "甲"], ["=1", '"a"\nb'], *([n, "x" * 100] for n in range(1000))]
    pieces = list(csv_text.stream(rows))
    assert len(pieces) > 2
    text = "".join(pieces)
    assert text.startswith(csv_text.MARK)
    read = list(csv.reader(io.StringIO(text.removeprefix(csv_text.MARK), newline="")))
    assert read[1] == ["'=1", '"a"\nb']
    assert len(read) == 1002


def test_rows_become_one_text_with_windows_line_ends_and_safe_cells() -> None:
    assert csv_text.lines([]) == ""
    assert csv_text.lines([["id", "甲"], ["=1", 5], ['a"b', None]]) == 'id,甲\r\n\'=1,5\r\n"a""b",\r\n'


@pytest.mark.parametrize(
    ("text", "unusual"),
    [("a,b", False), ("=1", False), ("#1", False), ("it's", False), ("#N/A", True), ('="1"', True), ("'=1", True)],
)
def test_a_quick_look_tells_whether_reading_may_change_a_cell(text: str, unusual: bool) -> None:
    assert csv_text.is_unusual(text) is unusual


def test_the_pieces_of_a_stream_are_not_repeated_and_not_much_larger_than_a_piece() -> None:
    pieces = list(csv_text.stream([n, "x" * 100] for n in range(1000)))
    assert pieces[0] == csv_text.MARK
    assert "".join(pieces[1:]) == csv_text.lines([n, "x" * 100] for n in range(1000))
    assert all(csv_text.PIECE < len(piece) <= csv_text.PIECE + 200 for piece in pieces[1:-1])
