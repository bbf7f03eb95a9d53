"""Quiet hours: the local times between which marketing texts are not sent, and the dates on which they are not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from smsapp.domain.local_time import moment_of

DAY = dt.timedelta(days=1)
MIDNIGHT = dt.time()


@dataclass(frozen=True)
class QuietHours:
    """From `begin` until `end` in `zone`, over midnight if begin is later than end; equal times mean none."""

    begin: dt.time
    end: dt.time
    zone: str
    rest: frozenset[dt.date] = frozenset()
    """Local dates on which nothing is sent."""

    def over_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return None if texts may be sent now, else the moment (aware UTC) from which they may."""
        if not self.rest:
            return self._hours_over_at(now)
        at = now
        for _ in range(2 * len(self.rest) + 3):  # each step ends at a date of rest or at the end of the hours
            later = self._hours_over_at(at) or self._rest_over_at(at)
            if later is None:
                break
            at = later
        return at if at > now else None

    def next_begin(self, at: dt.datetime) -> dt.datetime | None:
        """Return the first moment after `at` (at which texts may be sent) at which they may not; None: never."""
        zone = ZoneInfo(self.zone)
        date = at.astimezone(zone).date()
        begins = [moment_of(day, MIDNIGHT, zone)[0] for day in self.rest if day > date]
        if self.begin != self.end:
            hours = (dt.datetime.combine(day, self.begin, zone).astimezone(dt.UTC) for day in (date, date + DAY))
            begins.append(next(begin for begin in (*hours, at + DAY) if begin > at))
        return min(begins, default=None)

    def _rest_over_at(self, now: dt.datetime) -> dt.datetime | None:
        date = now.astimezone(ZoneInfo(self.zone)).date()
        if date not in self.rest:
            return None
        while date in self.rest:
            date += DAY
        over, _oddity = moment_of(date, MIDNIGHT, ZoneInfo(self.zone))
        return over if over > now else now + dt.timedelta(minutes=1)

    def _hours_over_at(self, now: dt.datetime) -> dt.datetime | None:
        if self.begin == self.end:
            return None
        local = now.astimezone(ZoneInfo(self.zone))
        time = local.time()
        over_midnight = self.begin > self.end
        if over_midnight and self.end <= time < self.begin:
            return None
        if not over_midnight and not self.begin <= time < self.end:
            return None
        date = local.date() if time < self.end else local.date() + DAY
        over = dt.datetime.combine(date, self.end, ZoneInfo(self.zone)).astimezone(dt.UTC)
        # An end in the hour that a clock change repeats may be just past.
        return over if over > now else now + dt.timedelta(minutes=1)


def read(begin: str, end: str, zone: str, rest: Iterable[str] = ()) -> QuietHours:
    """Return quiet hours from two texts "HH:MM" and dates as texts."""
    dates = frozenset(dt.date.fromisoformat(date) for date in rest)
    return QuietHours(dt.time.fromisoformat(begin), dt.time.fromisoformat(end), zone, dates)
