"""A receipt belongs to the message whose id and number it names."""

from __future__ import annotations

import pytest

from smsapp.domain.receipt_match import owner_of, same_number

PHONE = "+8613800138000"


@pytest.mark.parametrize(
    "named", [PHONE, "+13800138000", "+013800138000", "8613800138000", "13800138000", "+008613800138000"]
)
def test_a_number_may_be_written_with_or_without_its_country(named: str) -> None:
    assert same_number(named, PHONE)


@pytest.mark.parametrize(
    ("named", "phone", "same"),
    [
        ("1068613800138000", PHONE, True),
        ("800138000", PHONE, True),
        ("8138000", PHONE, False),
        ("0138000", PHONE, False),
        ("138000", "+138000", False),
        ("1380001", "+1380001", True),
    ],
)
def test_seven_digits_at_the_end_tell_whose_a_number_is(named: str, phone: str, same: bool) -> None:
    assert same_number(named, phone) is same


@pytest.mark.parametrize("named", ["+8613800138001", "138000", "+138000", "", "+", "+4413800138001"])
def test_other_numbers_and_ends_that_say_nothing_are_not_the_same(named: str) -> None:
    assert not same_number(named, PHONE)


@pytest.mark.parametrize(
    ("owners", "named", "expected"),
    [
        ({PHONE: 1}, PHONE, 1),
        ({PHONE: 1}, "", 1),
        ({PHONE: 1}, "+13800138000", 1),
        ({PHONE: 1}, "+8613800138001", None),
        ({PHONE: 1, "+8613800138001": 2}, "+8613800138001", 2),
        ({PHONE: 1, "+8613800138001": 2}, "", None),
        ({}, PHONE, None),
    ],
)
def test_an_id_of_several_messages_needs_the_number(owners: dict[str, int], named: str, expected: int | None) -> None:
    assert owner_of(owners, named) == expected
