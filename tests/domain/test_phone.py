"""Reading phone numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain import phone

MAINLAND = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
MARKS = st.sampled_from(["", " ", "-", "　", "\u200b", "\u202d", "\t", ")"])
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@given(MAINLAND, st.sampled_from(["", "86", "+86", "0086", "＋86"]), st.lists(MARKS, min_size=11, max_size=11))
def test_a_mainland_number_is_read_however_it_is_written(number: str, prefix: str, marks: list[str]) -> None:
    written = prefix + "".join(digit + mark for digit, mark in zip(number, marks, strict=True))
    assert phone.normalise(written) == "+86" + number
    assert phone.normalise(written.translate(FULL_WIDTH)) == "+86" + number


@given(MAINLAND)
def test_reading_twice_changes_nothing(number: str) -> None:
    once = phone.normalise(number)
    assert phone.normalise(once) == once
    assert phone.is_domestic(once)


@given(MAINLAND)
def test_a_spreadsheet_holds_a_number_as_a_number(number: str) -> None:
    assert phone.normalise(int(number)) == phone.normalise(float(number)) == "+86" + number


@given(st.text(max_size=40))
def test_whatever_comes_gives_a_number_or_nothing(text: str) -> None:
    found = phone.normalise(text)
    assert found == "" or (found.startswith("+") and found[1:].isdigit())


@pytest.mark.parametrize(
    "written",
    [
        "",
        "abc",
        "1380013800",
        "138001380001",
        "12345678901",
        "010-12345678",
        "+861012345678",
        "1.38E+10",
        True,
        None,
        1.5,
        [],
    ],
)
def test_what_is_no_mobile_number_is_nothing(written: object) -> None:
    assert phone.normalise(written) == ""


@pytest.mark.parametrize(
    ("written", "region", "found"),
    [
        ("+44 7911 123456", "CN", "+447911123456"),
        ("00447911123456", "CN", "+447911123456"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("+8613800138000", "US", "+8613800138000"),
        ("13800138000", "US", ""),
        ("+999123456789", "CN", ""),
    ],
)
def test_numbers_of_other_countries(written: str, region: str, found: str) -> None:
    assert phone.normalise(written, region) == found


@given(st.lists(st.one_of(MAINLAND, st.text(max_size=15)), max_size=20))
def test_a_column_is_read_as_its_cells_are(texts: list[str]) -> None:
    assert phone.normalise_all(texts) == [phone.normalise(text) if text else None for text in texts]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("", ""),
        ("+8613800138000", "138****8000"),
        ("+447911123456", "+4479****3456"),
        ("+4312345", "+43****45"),
    ],
)
def test_a_masked_number_hides_its_middle(number: str, shown: str) -> None:
    assert phone.mask(number) == shown


def test_numbers_inside_a_text_are_masked() -> None:
    text = '{"$phone": "13800138000", "b": "+8613900139000", "at": 1795356372998, "c": "139 0013 9000"}'
    masked = phone.mask_inside(text)
    assert "13800138000" not in masked
    assert "13900139000" not in masked
    assert "0013 9000" not in masked
    assert "138****8000" in masked
    assert "1795356372998" in masked
