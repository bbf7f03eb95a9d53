"""Quiet hours: the local times between which marketing texts are not sent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class QuietHours:
    """From `begin` until `end` in `zone`, over midnight if begin is later than end; equal times mean none."""

    begin: dt.time
    end: dt.time
    zone: str

    def over_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return None if texts may be sent now, else the moment (aware UTC) from which they may."""
        if self.begin == self.end:
            return None
        local = now.astimezone(ZoneInfo(self.zone))
        time = local.time()
        over_midnight = self.begin > self.end
        if over_midnight and self.end <= time < self.begin:
            return None
        if not over_midnight and not self.begin <= time < self.end:
            return None
        date = local.date() if time < self.end else local.date() + dt.timedelta(days=1)
        over = dt.datetime.combine(date, self.end, ZoneInfo(self.zone)).astimezone(dt.UTC)
        # An end in the hour that a clock change repeats may be just past.
        return over if over > now else now + dt.timedelta(minutes=1)


def read(begin: str, end: str, zone: str) -> QuietHours:
    """Return quiet hours from two texts "HH:MM"."""
    return QuietHours(dt.time.fromisoformat(begin), dt.time.fromisoformat(end), zone)
