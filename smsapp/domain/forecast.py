"""Forecasts when a run begins and ends at its channel's rate, with quiet hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

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


def forecast(start: dt.datetime, messages: int, rate: float | None, quiet: QuietHours | None) -> Forecast:
    """Return the forecast for `messages` texts at `rate` per second if the run starts at `start` (aware UTC)."""
    begins = _allowed(start, quiet)
    if rate is None:
        return Forecast(begins, None, begins > start, 0)
    at, remaining, pauses = begins, dt.timedelta(seconds=messages / rate), 0
    while quiet is not None and pauses < MOST_PAUSES:
        until = quiet.next_begin(at)
        if until is None or at + remaining <= until:
            break
        remaining -= until - at
        at = _allowed(until, quiet)
        pauses += 1
    return Forecast(begins, at + remaining, begins > start, pauses)


def _allowed(at: dt.datetime, quiet: QuietHours | None) -> dt.datetime:
    return (quiet.over_at(at) if quiet else None) or at


def ahead(messages: int, queued: Iterable[int], rate: int | None, wait: dt.timedelta) -> int:
    """Return how many messages of other runs leave before the last of `messages` texts that begin after `wait`.

    Runs of a channel take turns, so of each of the others at most as many leave as this one has; those that leave
    before it begins do not count.
    """
    in_turn = sum(min(n, messages) for n in queued)
    return max(0, in_turn - int((rate or 0) * max(0.0, wait.total_seconds())))


def shared(rate: float | None, messages: int, ahead: int) -> float | None:
    """Return the part of a channel's rate for `messages` texts of a run, if so many of others leave among them."""
    return rate * messages / (messages + ahead) if rate is not None and messages else rate


def late(start: dt.datetime, messages: int, rate: float | None, quiet: QuietHours | None) -> int:
    """Return how many of `messages` texts at `rate` per second leave only after quiet hours."""
    if quiet is None:
        return 0
    if _allowed(start, quiet) > start:
        return messages
    until = quiet.next_begin(start)
    if rate is None or until is None:
        return 0
    return max(0, messages - int((until - start).total_seconds() * rate))
