"""Columns of a file as contacts: ids, phones and dates of the field; a column read at once says what its cells say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.cells import BrokenRow, as_moment
from smsapp.domain.columns import read
from smsapp.domain.contact import PHONE, Type, user_id
from smsapp.domain.layout import Column, Layout
from smsapp.domain.rejection import Reason, Unfit

CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "0", "-7", "1,234", "1.50", "1e3", "01", "true", "否", "2024-02-30 00:00:00", "2024-02-29 08:00:00"]
    ),
    st.sampled_from(["2024/3/1", "0000-01-01 00:00:00", "a;b,a", "\x00=", "\ufffd", 'quoted "text"', "back\\slash"]),
    st.sampled_from(["13800138000,13900139000", "13800138000", "a\nb", "\x1f", "张三", " spaces ", "x" * 1100]),
)


def outcome(kind: Type, cells: list[str], phone: bool = False) -> list[Any]:
    """Return each row's properties and phones, or the reason why it was refused, in the file's order."""
    column = Column(1, "it", kind)
    found = read(Layout(0, (column,)), [[f"u{i}", cell] for i, cell in enumerate(cells)], 2, [column] * phone, "CN")
    told = {row.at: (row.reason, dict(row.facts)) for row in found.bad}
    kept = {int(who[1:]): (json.loads(held), json.loads(phones)) for who, held, phones in found.rows}
    assert not told.keys() & kept.keys()
    return [told.get(i) or kept[i] for i in range(len(cells))]


@pytest.mark.parametrize("kind", list(Type))
@given(cells=st.lists(CELLS, min_size=1, max_size=5))
def test_a_column_is_read_as_its_cells_are(kind: Type, cells: list[str]) -> None:
    assert outcome(kind, cells, phone=True) == [outcome(kind, [cell], phone=True)[0] for cell in cells]


def test_an_amount_with_separators_is_one_number() -> None:
    assert outcome(Type.NUMBER, ["1,234", "5", ""]) == [({"it": 1234}, {}), ({"it": 5}, {}), ({}, {})]


def test_two_numbers_in_one_cell_are_no_number() -> None:
    phones = [
        numbers for _held, numbers in outcome(Type.STRING, ["13800138000,13900139000", "13800138000"], phone=True)
    ]
    assert phones == [{"it": ""}, {"it": "+8613800138000"}]


def test_what_json_would_misread_is_escaped_and_the_rest_left_as_it_is() -> None:
    texts = ["张三", 'a "b"', "c\\d", "e\nf"]
    assert [held["it"] for held, _phones in outcome(Type.STRING, texts)] == texts


def test_only_days_that_exist_are_moments() -> None:
    held, refused = outcome(Type.DATETIME, ["2024-02-29 08:00:00", "2023-02-29 08:00:00"])
    assert held[0] == {"it": "2024-02-29T08:00:00"}
    assert refused[0] is Reason.TYPE_CONFLICT


LAYOUT = Layout(0, (Column(1, PHONE, Type.STRING), Column(2, "at", Type.DATETIME)))
PHONES = LAYOUT.columns[:1]


def taken(*rows: list[str] | BrokenRow) -> tuple[list[tuple[str, str]], list[str]]:
    """Return (user id, number) of the rows that are kept, and the reasons of the others."""
    chunk = read(LAYOUT, rows, 3, PHONES, "CN")
    return [(xwho, json.loads(phones).get(PHONE, "")) for xwho, _p, phones in chunk.rows], [b.reason for b in chunk.bad]


@pytest.mark.parametrize("xwho", ["Z1", "Z1\u200b", "\ufeffZ1", "Z\u20601", "\u2068Z1\u2069", " Z1\u00ad", "Z1\t"])
def test_ids_that_look_alike_are_one(xwho: str) -> None:
    assert taken([xwho, "", ""])[0] == [("Z1", "")]
    assert user_id(xwho) == "Z1"


@pytest.mark.parametrize("xwho", ["1.23E+17", "1.23e+17", "1E+5", "2.0000001E7", "1,23E+17"])
def test_an_id_that_excel_destroyed_is_told_and_never_merged(xwho: str) -> None:
    assert taken([xwho, "13800138000", ""], [xwho, "13800138001", ""], ["u1", "", ""]) == (
        [("u1", "")],
        [Reason.DESTROYED_ID, Reason.DESTROYED_ID],
    )


@pytest.mark.parametrize("xwho", ["1e5", "a1e+5", "12e34", "1.5", "E+17", "3e"])
def test_an_id_that_only_looks_a_little_like_a_number_is_kept(xwho: str) -> None:
    assert taken([xwho, "", ""])[0] == [(xwho, "")]


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("13800138006.0", "+8613800138006"),
        ("13800138006.00", "+8613800138006"),
        ("1.3800138007E10", "+8613800138007"),
        ("1.3800138E10", "+8613800138000"),
        ("1.3800138007e+10", "+8613800138007"),
        ("8613800138007.0", "+8613800138007"),
        ("1.38E+10", ""),
        ("1.38001E+10", ""),
    ],
)
def test_a_phone_that_a_program_wrote_as_a_number_is_read_if_no_digit_is_lost(typed: str, number: str) -> None:
    assert taken(["u1", typed, ""])[0] == [("u1", number)]


def test_a_phone_that_is_the_id_may_be_written_as_a_number_too() -> None:
    layout = Layout(1, (Column(1, PHONE, Type.STRING),))
    chunk = read(layout, [["", "1.3800138007E10", ""]], 3, layout.columns, "CN")
    assert [row[0] for row in chunk.rows] == ["+8613800138007"]


def test_rows_without_a_usable_number_are_told_with_the_reason() -> None:
    chunk = read(LAYOUT, [["u1", "13800138000", ""], ["u2", "", ""], ["u3", "12", ""], ["", "", ""]], 3, PHONES, "CN")
    assert [(xwho, bad.at, bad.reason) for xwho, bad in chunk.without_number] == [
        ("u2", 1, Reason.NO_NUMBER),
        ("u3", 2, Reason.BAD_NUMBER),
    ]
    assert chunk.bad == []


@pytest.mark.parametrize("row", [["", "", ""], [" ", "\t", ""], [], ["", "", "", ""], ["\t"] * 5])
def test_a_row_without_anything_in_it_is_no_row(row: list[str]) -> None:
    assert taken(row, ["u1", "", ""]) == ([("u1", "")], [])


def test_a_row_that_cannot_be_read_is_told_even_if_it_is_as_wide_as_the_table() -> None:
    assert taken(BrokenRow(("u1", "1", "")), ["u2", "", ""]) == ([("u2", "")], [Reason.BAD_QUOTES])


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2024-05-26 18:53:37.297", "2024-05-26T18:53:37"),
        ("2024-05-26T18:53:37.297", "2024-05-26T18:53:37"),
        ("2024/5/26 18:53:37.297", "2024-05-26T18:53:37"),
        ("2024.05.26 18:53:37.297", "2024-05-26T18:53:37"),
        ("2024年5月26日 18:53", "2024-05-26T18:53:00"),
        ("2024年5月26日18:53:37", "2024-05-26T18:53:37"),
        ("2024-05-26", "2024-05-26T00:00:00"),
    ],
)
def test_a_moment_is_read_as_apps_report_it(typed: str, moment: str) -> None:
    assert as_moment(typed) == moment
    chunk = read(LAYOUT, [["u1", "", typed]], 3, (), "CN")
    assert json.loads(chunk.rows[0][1])["at"] == moment


@pytest.mark.parametrize("typed", ["2024-W01-1", "2024-W21-7", "2024-1470", "20240526T1", "2024-02-30", "12:30:00.5"])
def test_what_is_no_date_is_refused(typed: str) -> None:
    assert [bad.reason for bad in read(LAYOUT, [["u1", "", typed]], 3, (), "CN").bad] == [Reason.TYPE_CONFLICT]


def test_an_id_of_nothing_but_invisible_characters_is_none() -> None:
    with pytest.raises(Unfit):
        user_id("\u200b\ufeff")
    assert taken(["\u200b", "138", ""])[1] == [Reason.BAD_ID]
