"""Cells as programs write them: numbers, and rows of nothing."""

from __future__ import annotations

import pytest

from smsapp.domain.cells import is_blank, whole_number


def test_a_number_with_digits_behind_the_point_is_left_alone() -> None:
    assert [whole_number(text) for text in ("1.5", "13800138000", "138-0013", "1E3", "")] == [
        *("1.5", "13800138000", "138-0013", "1E3", "")
    ]


@pytest.mark.parametrize(("row", "blank"), [([], True), (["", " \u3000"], True), (["", "x"], False), ([" a "], False)])
def test_a_row_of_spaces_is_blank(row: list[str], blank: bool) -> None:
    assert is_blank(row) is blank
