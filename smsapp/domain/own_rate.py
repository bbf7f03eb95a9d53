"""A run's own rate: its messages leave evenly, within the channel's rate.

What it may send follows from two stored values alone, the rate and the moment up to which it is used up, so a restart
changes nothing. Time in which nothing could leave (quiet hours, an outage) earns BURST seconds' worth at most: the run
goes on at its rate and ends later instead of catching up at once.
"""

from __future__ import annotations

import datetime as dt

BURST = 5.0
"""Seconds' worth of messages that may leave at once after a pause; at least one message."""


def even_rate(messages: int, begin: dt.datetime, end: dt.datetime) -> float | None:
    """Return the messages a second with which so many leave evenly between two moments; None if there is no time."""
    seconds = (end - begin).total_seconds()
    return messages / seconds if messages and seconds > 0 else None


def allowance(rate: float, used_until: dt.datetime, now: dt.datetime) -> int:
    """Return how many messages may leave now."""
    earned = min((now - used_until).total_seconds(), max(BURST, 1 / rate)) * rate
    return max(0, int(earned + 1e-6))


def used(rate: float, used_until: dt.datetime, now: dt.datetime, messages: int) -> dt.datetime:
    """Return the moment up to which the rate is used up once so many messages leave now."""
    earliest = now - dt.timedelta(seconds=max(BURST, 1 / rate))
    return max(used_until, earliest) + dt.timedelta(seconds=messages / rate)
