"""Numbers as providers write them: one reading for all of them."""

from __future__ import annotations

import pytest

from smsapp.channels._numbers import e164, format_number


@pytest.mark.parametrize(
    ("written", "country", "ton", "number"),
    [
        ("13800138021", "CN", 2, "+8613800138021"),
        ("15122345678", "CN", 0, "+8615122345678"),
        ("15122345678", "CN", 2, "+8615122345678"),
        ("15122345678", "CN", 1, "+15122345678"),
        ("+15122345678", "CN", 0, "+15122345678"),
        ("15122345678", "US", 0, "+15122345678"),
        ("5122345678", "US", 2, "+15122345678"),
        ("8613800138021", "CN", 1, "+8613800138021"),
        ("8613800138021", "CN", 0, "+8613800138021"),
        ("+86 (0)13800138021", "CN", 0, "+8613800138021"),
        ("013800138021", "CN", 0, "+8613800138021"),
        ("008613800138021", "CN", 2, "+8613800138021"),
        ("447911123456", "CN", 1, "+447911123456"),
        ("447911123456", "CN", 0, "+447911123456"),
        ("07911123456", "GB", 2, "+447911123456"),
        ("85291234567", "CN", 2, ""),
        ("10690001", "CN", 0, ""),
        ("Shop", "CN", 5, ""),
        (None, "CN", 0, ""),
    ],
)
def test_a_national_number_belongs_to_the_country_of_the_channel(
    written: object, country: str, ton: int, number: str
) -> None:
    assert e164(written, country, ton) == number


@pytest.mark.parametrize(
    ("number", "country", "national"),
    [
        ("+8613800138000", "CN", "13800138000"),
        ("+85291234567", "HK", "91234567"),
        ("+85291234567", "CN", "85291234567"),
        ("+8613800138000", "HK", "8613800138000"),
        ("+12025550123", "US", "2025550123"),
    ],
)
def test_a_national_number_is_written_without_the_code_of_the_channels_own_country(
    number: str, country: str, national: str
) -> None:
    assert format_number(number, "national", country) == national
    assert format_number(number, "digits", country) == number[1:]
    assert format_number(number, "e164", country) == number
