"""Local times as moments: what becomes of one that does not exist on its date, or comes twice."""

from __future__ import annotations

import datetime as dt
import enum
from bisect import bisect_left
from zoneinfo import ZoneInfo

FIRST_DAY, HORIZON = dt.date(2000, 1, 1), dt.date(9990, 1, 1)
"""A date that somebody chooses is on or after the first and before the second: the calendar's ends have no moments."""


class Oddity(enum.Enum):
    """An unusual fact about a local time on its date."""

    MISSING = enum.auto()
    """Clocks go forward over it; the moment is the first one after the gap."""
    TWICE = enum.auto()
    """Clocks go back; the moment is the first of the two."""


def moment_of(date: dt.date, time: dt.time, zone: ZoneInfo) -> tuple[dt.datetime, Oddity | None]:
    """Return the moment (aware UTC) of this local time, and what is unusual about it."""
    wall = dt.datetime.combine(date, time, zone)
    first, second = wall.astimezone(dt.UTC), wall.replace(fold=1).astimezone(dt.UTC)
    if first == second:
        return first, None
    if first < second:
        return first, Oddity.TWICE
    # In a gap fold=1 reads the wall with the offset after it and so lands before it; fold=0 lands after it (PEP 495).
    seconds = range(int(second.timestamp()), int(first.timestamp()) + 1)
    offset = second.astimezone(zone).utcoffset()
    first_after_gap = bisect_left(
        seconds, True, key=lambda at: dt.datetime.fromtimestamp(at, zone).utcoffset() != offset
    )
    return dt.datetime.fromtimestamp(seconds[first_after_gap], dt.UTC), Oddity.MISSING


def is_far(date: dt.date | None) -> bool:
    """Return whether this is a date for which no moment may be asked."""
    return date is not None and not FIRST_DAY <= date < HORIZON


def exists(date: dt.date, zone: ZoneInfo) -> bool:
    """Return whether the zone has this date: some have skipped one to change sides of the date line."""
    at, _oddity = moment_of(date, dt.time(), zone)
    return at.astimezone(zone).date() == date
