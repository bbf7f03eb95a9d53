"""Limits of a channel by country or prefix, as a person types them."""

from __future__ import annotations

import pytest

from smsapp.domain import number_limits
from smsapp.domain.number_limits import NumberLimit


def test_limits_are_read_with_the_longest_prefix_first() -> None:
    limits, wrong = number_limits.read("+86: unlimited, +44：100; +44 7400: 5\n其他: 不发")
    assert wrong == []
    assert limits == [
        NumberLimit("+447400", 5),
        NumberLimit("+44", 100),
        NumberLimit("+86", None),
        NumberLimit("", 0),
    ]


def test_what_is_written_is_read_again() -> None:
    limits, _ = number_limits.read("+86: unlimited, +44: 100, others: 0")
    assert number_limits.read(number_limits.written(limits)) == (limits, [])


@pytest.mark.parametrize("text", ["86: 5", "+86", "+86: many", "+86: -1", "+86: 1, +86: 2", "+0: 1", "+86: 99999999"])
def test_what_is_no_limit_is_told(text: str) -> None:
    assert number_limits.read(text)[1]
