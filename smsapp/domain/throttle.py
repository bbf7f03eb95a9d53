"""How often somebody may try to sign in: growing delays, never a lock-out.

A counter has a level: it rises by one with each attempt and leaks with time. Up to its allowance attempts follow each
other at once, beyond it each has to wait, twice as long as the one before, up to the counter's longest delay.
"""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
from dataclasses import dataclass


class Counter(enum.StrEnum):
    """What attempts are counted by."""

    DEVICE = "device"
    """A device on which this person has signed in before: what strangers guess is not counted here."""
    LOGIN_AT_ADDRESS = "login_at_address"
    ADDRESS = "address"
    LOGIN = "login"
    """All strange devices together, so that an attacker with many addresses has an end."""


@dataclass(frozen=True)
class Allowance:
    """`free`: attempts without a delay; `first`, `longest`: the delays after them; `leak`: a level is forgotten in."""

    free: int
    first: dt.timedelta
    longest: dt.timedelta
    leak: dt.timedelta


@dataclass(frozen=True)
class Level:
    """How full a counter was at a moment."""

    level: float
    at: dt.datetime


ALLOWANCES = {
    Counter.DEVICE: Allowance(5, dt.timedelta(seconds=5), dt.timedelta(minutes=15), dt.timedelta(minutes=30)),
    Counter.LOGIN_AT_ADDRESS: Allowance(5, dt.timedelta(seconds=5), dt.timedelta(hours=1), dt.timedelta(hours=1)),
    Counter.ADDRESS: Allowance(30, dt.timedelta(seconds=10), dt.timedelta(hours=1), dt.timedelta(minutes=5)),
    Counter.LOGIN: Allowance(100, dt.timedelta(seconds=5), dt.timedelta(minutes=5), dt.timedelta(minutes=10)),
}
KNOWN_DEVICE = (Counter.DEVICE,)
STRANGE_DEVICE = (Counter.LOGIN_AT_ADDRESS, Counter.ADDRESS, Counter.LOGIN)
FORGIVEN = frozenset({Counter.DEVICE, Counter.LOGIN_AT_ADDRESS})
"""Emptied by signing in. The others are not, or an attacker would empty them with an account of their own."""
MOST_OVER = 20
"""How far a level rises above its allowance, so that it leaks within a day once the attempts end."""
NETWORK_OF_IPV6 = 64
"""Bits of an IPv6 address: whoever has one has all that begin with them."""


def level_now(counter: Counter, last: Level | None, now: dt.datetime) -> float:
    """Return how full the counter is: what was counted, less what has leaked since."""
    if last is None:
        return 0.0
    return max(0.0, last.level - max(0.0, (now - last.at) / ALLOWANCES[counter].leak))


def after_attempt(counter: Counter, last: Level | None, now: dt.datetime) -> Level:
    """Return the counter with one attempt more."""
    return Level(min(level_now(counter, last, now) + 1, ALLOWANCES[counter].free + MOST_OVER), now)


def free_at(counter: Counter, last: Level | None) -> dt.datetime | None:
    """Return the moment from which the counter lets the next attempt through; None if it does at once."""
    allowance = ALLOWANCES[counter]
    if last is None or last.level < allowance.free:
        return None
    return last.at + min(allowance.first * 2 ** (last.level - allowance.free), allowance.longest)


def network_of(address: str) -> str:
    """Return the network that counts as one address: the whole IPv4 address, the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, NETWORK_OF_IPV6), strict=False))
    return str(parsed)
