"""Columns of a file as contacts: a column read at once says what its cells say one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.columns import Column, Layout, read
from smsapp.domain.contact import Reason, Type

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
