"""The pace of a provider that asks to slow down: halved, faster by and by, and the same for every sender."""

from __future__ import annotations

import datetime as dt
from collections import deque

import pytest

from smsapp.domain.pace import LONGEST_WAIT, SLOWEST, Pace, faster, slower

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("limit", [5, 30, 200])
def test_six_hundred_messages_take_little_more_than_the_rate_allows(limit: int) -> None:
    # given a provider that takes so many in any second, and a sender that knows nothing of it
    taken: deque[float] = deque()
    pace: Pace | None = None
    sent, refused, clock, waits_until = 0, 0, 0.0, 0.0
    # when it sends at its pace and waits when it is asked to
    while sent < 600:
        clock += 0.001 if pace is None else 1 / pace.rate(after(clock))
        clock = max(clock, waits_until)
        while taken and taken[0] <= clock - 1:
            taken.popleft()
        if len(taken) < limit:
            taken.append(clock)
            sent += 1
            if pace is not None:
                pace = faster(pace, pace.rate(after(clock)), after(clock))
        else:
            refused += 1
            pace = slower(pace, len(taken), 1, after(clock))
            waits_until = (pace.since - NOW).total_seconds()
    # then
    assert clock <= 1.5 * 600 / limit
    assert refused <= 600 / limit


def test_the_pace_is_halved_and_creeps_up_again_to_just_above_what_was_shown() -> None:
    pace = slower(None, 30, 1, NOW)
    # nothing is proved while nothing leaves
    assert pace.rate(NOW) == pace.rate(after(1)) == 15
    rates = [pace.rate(after(1 + seconds)) for seconds in range(0, 3600)]
    assert rates[0] == 15
    assert rates == sorted(rates)
    assert rates[3] == pytest.approx(27, abs=1)
    assert rates[-1] == pytest.approx(31.5)


def test_refusals_of_one_moment_count_once_whoever_is_refused() -> None:
    pace = slower(None, 30, 1, NOW)
    assert slower(pace, 12, 1, after(1.9)) == pace
    assert slower(pace, 12, 1, after(5)).limit == pytest.approx(pace.rate(after(5)))


def test_a_provider_that_takes_nothing_at_the_slowest_pace_is_asked_ever_more_seldom() -> None:
    pace: Pace | None = None
    waits = []
    for n in range(12):
        pace = slower(pace, 0, 8, after(n * 100))
        waits.append((pace.since - after(n * 100)).total_seconds())
    assert waits == [1, 1, 1, 2, 4, 8, 16, 32, *[LONGEST_WAIT] * 4]
    assert pace is not None
    assert pace.begin == SLOWEST
    # and as soon as it takes something, a second is enough
    assert slower(pace, 1, 1, after(1200)).since == after(1201)


def test_a_wait_that_the_provider_names_is_kept() -> None:
    assert slower(None, 30, 1, NOW, retry_after=7).since == after(7)


def test_a_limit_is_raised_only_if_it_was_used() -> None:
    pace = slower(None, 30, 1, NOW)
    late = after(3600)
    assert faster(pace, 3, late) == pace
    raised = faster(pace, 30, late)
    assert [raised.rate(late), raised.limit] == pytest.approx([31.5, 31.5 * 1.3])
    assert faster(raised, 31, late) == raised
    # a channel that rests for years bursts no more than one that rests for an hour
    assert pace.rate(after(10**9)) == pace.rate(late)


def test_a_request_larger_than_what_the_provider_takes_in_a_second_halves_from_its_size() -> None:
    pace = slower(None, 0, 100, NOW)
    assert pace.rate(NOW) == 50
    assert slower(pace, 0, 50, after(2)).rate(after(2)) == 25


def test_a_limit_is_raised_from_half_of_the_rate_and_not_before_it_is_passed() -> None:
    pace, late = slower(None, 32, 1, NOW), after(3600)
    rate = pace.rate(late)
    assert faster(pace, rate / 2, late).limit == pytest.approx(rate * 1.3)
    assert faster(pace, rate / 2 - 0.1, late) == pace
    assert faster(pace, 1000, after(1)) == pace


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [
        (-5, 15.0),
        (0, 15.0),
        (1, 15 * 1.25),
        (2, 15 * 1.25**2),
        # nine tenths of the limit are reached after 2.634 seconds; from there on it creeps
        (3, 27 * 1.01 ** (3 - 2.6341)),
        (10, 27 * 1.01 ** (10 - 2.6341)),
        (60, 31.5),
    ],
)
def test_the_pace_recovers_by_a_quarter_a_second_and_then_creeps(seconds: float, rate: float) -> None:
    # from the end of the wait of a second on
    assert slower(None, 30, 1, NOW).rate(after(1 + seconds)) == pytest.approx(rate, rel=1e-4)
