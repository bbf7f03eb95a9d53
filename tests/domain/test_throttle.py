"""Delays of attempts to sign in: none at first, then longer and longer, and forgotten with time."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain import throttle
from smsapp.domain.throttle import ALLOWANCES, Counter, Level

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


def after(counter: Counter, attempts: int, now: dt.datetime = NOW) -> Level | None:
    """Return the counter after so many attempts at one moment."""
    level: Level | None = None
    for _ in range(attempts):
        level = throttle.after_attempt(counter, level, now)
    return level


@pytest.mark.parametrize("counter", Counter)
def test_the_first_attempts_follow_each_other_at_once(counter: Counter) -> None:
    free = ALLOWANCES[counter].free
    assert throttle.free_at(counter, None) is None
    assert throttle.free_at(counter, after(counter, free - 1)) is None
    assert throttle.free_at(counter, after(counter, free)) == NOW + ALLOWANCES[counter].first


@pytest.mark.parametrize("counter", Counter)
def test_each_further_delay_is_twice_the_one_before_up_to_the_longest(counter: Counter) -> None:
    allowance = ALLOWANCES[counter]
    moments = [throttle.free_at(counter, after(counter, allowance.free + more)) for more in range(25)]
    delays = [moment - NOW for moment in moments if moment is not None]
    assert len(delays) == 25
    assert delays[:3] == [allowance.first, 2 * allowance.first, 4 * allowance.first]
    assert delays[-1] == allowance.longest == max(delays)


@pytest.mark.parametrize("counter", Counter)
def test_every_counter_is_empty_again_within_two_days(counter: Counter) -> None:
    level = after(counter, 100_000)
    assert throttle.level_now(counter, level, NOW + dt.timedelta(days=2)) == 0


def test_a_level_leaks_evenly_and_never_below_nothing() -> None:
    level = after(Counter.LOGIN_AT_ADDRESS, 3)
    assert throttle.level_now(Counter.LOGIN_AT_ADDRESS, level, NOW + dt.timedelta(hours=1)) == 2
    assert throttle.level_now(Counter.LOGIN_AT_ADDRESS, level, NOW + dt.timedelta(hours=9)) == 0
    # A clock that was set back takes nothing away and adds nothing.
    assert throttle.level_now(Counter.LOGIN_AT_ADDRESS, level, NOW - dt.timedelta(hours=1)) == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, network: str) -> None:
    assert throttle.network_of(address) == network
