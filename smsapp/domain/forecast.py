"""Forecasts when a run begins and ends at its channel's rate, with quiet hours."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from smsapp.domain.quiet import QuietHours

MOST_PAUSES = 366
"""A forecast stops after a year of quiet hours."""


@dataclass(frozen=True)
class Forecast:
    """`begins` is when the first text leaves; `ends` is None if the channel has no rate."""

    begins: dt.datetime
    ends: dt.datetime | None
    waits: bool
    """True if quiet hours delay the beginning."""
    pauses: int
    """How often quiet hours interrupt it."""


def forecast(start: dt.datetime, messages: int, rate: int | None, quiet: QuietHours | None) -> Forecast:
    """Return the forecast for `messages` texts at `rate` per second if the run starts at `start` (aware UTC)."""
    begins = _allowed(start, quiet)
    if rate is None:
        return Forecast(begins, None, begins > start, 0)
    at, remaining, pauses = begins, dt.timedelta(seconds=messages / rate), 0
    while quiet is not None and pauses < MOST_PAUSES:
        until = _next_quiet(at, quiet)
        if until is None or at + remaining <= until:
            break
        remaining -= until - at
        at = _allowed(until, quiet)
        pauses += 1
    return Forecast(begins, at + remaining, begins > start, pauses)


def _allowed(at: dt.datetime, quiet: QuietHours | None) -> dt.datetime:
    return (quiet.over_at(at) if quiet else None) or at


def _next_quiet(at: dt.datetime, quiet: QuietHours) -> dt.datetime | None:
    """Return the first moment after `at` (which lies outside quiet hours) at which they begin."""
    if quiet.begin == quiet.end:
        return None
    zone = ZoneInfo(quiet.zone)
    date = at.astimezone(zone).date()
    begin = dt.datetime.combine(date, quiet.begin, zone).astimezone(dt.UTC)
    return (
        begin if begin > at else dt.datetime.combine(date + dt.timedelta(days=1), quiet.begin, zone).astimezone(dt.UTC)
    )
