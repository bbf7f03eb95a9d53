"""How far an audience may move from the one that was reviewed."""

from __future__ import annotations

import pytest

from smsapp.domain.drift import Audience, Limits, by_prefix, country_code, drift

LIMITS = Limits(percent=20, fewest=100, elsewhere=10)
REVIEWED = Audience(3000, 2819, {"+86138": 2000, "+86139": 819})


@pytest.mark.parametrize(
    ("number", "code"),
    [("+8613800138000", "+86"), ("+12025550123", "+1"), ("+375291234567", "+375"), ("+979123", "+979"), ("+0", "")],
)
def test_a_country_is_told_by_the_first_digits(number: str, code: str) -> None:
    assert country_code(number) == code


def test_numbers_are_counted_by_country_and_three_digits() -> None:
    leading = {"+861380": 5, "+861389": 2, "+186761": 3, "+375291": 1}
    assert by_prefix(leading) == {"+86138": 7, "+1867": 3, "+375291": 1}


@pytest.mark.parametrize(
    ("planned", "prefixes", "drifted"),
    [
        (2819, {"+86138": 2000, "+86139": 819}, False),
        (100, {"+86138": 100}, False),
        (2919, {"+86138": 2919}, False),
        (3382, {"+86138": 3382}, False),
        (3384, {"+86138": 3384}, True),
        (2819, {"+86138": 2809, "+86191": 10}, False),
        (2819, {"+86138": 2808, "+86191": 11}, True),
        (2819, {"+86138": 2809, "+375291": 10}, False),
        (7819, {"+86138": 2000, "+86139": 819, "+979123": 5000}, True),
    ],
    ids=[
        "the same",
        "fewer",
        "as many more as may be",
        "twenty per cent more",
        "more than twenty per cent more",
        "a few of another prefix",
        "many of another prefix",
        "a few of another country",
        "five thousand premium numbers",
    ],
)
def test_what_is_more_than_the_limits_allow_has_drifted(planned: int, prefixes: dict[str, int], drifted: bool) -> None:
    assert (drift(REVIEWED, Audience(planned, planned, prefixes), LIMITS) is not None) is drifted


def test_a_small_audience_may_grow_by_the_fewest() -> None:
    birthdays = Audience(3, 3, {"+86138": 3})
    assert drift(birthdays, Audience(100, 100, {"+86138": 100}), LIMITS) is None
    assert drift(birthdays, Audience(103, 103, {"+86138": 103}), LIMITS) is None
    assert drift(birthdays, Audience(104, 104, {"+86138": 104}), LIMITS) is not None


def test_a_large_audience_may_grow_by_the_share_and_no_more() -> None:
    members = Audience(1000, 1000, {"+86138": 1000})
    assert drift(members, Audience(1200, 1200, {"+86138": 1200}), LIMITS) is None
    assert drift(members, Audience(1201, 1201, {"+86138": 1201}), LIMITS) is not None


def test_the_difference_is_told_by_country_and_prefix() -> None:
    now = Audience(9000, 8000, {"+86138": 2900, "+86191": 100, "+979123": 4000, "+979456": 1000})
    found = drift(REVIEWED, now, LIMITS)
    assert found is not None
    assert (found.before, found.now, found.more, found.elsewhere) == (2819, 8000, 5181, 5100)
    assert (found.countries, found.prefixes) == ({"+979": 5000}, {"+86191": 100})


def test_what_both_know_is_known_afterwards() -> None:
    other = Audience(10, 9000, {"+86191": 4})
    assert REVIEWED.joined(other) == Audience(3000, 9000, {"+86138": 2000, "+86139": 819, "+86191": 4})
    assert Audience.from_json(REVIEWED.as_json()) == REVIEWED
