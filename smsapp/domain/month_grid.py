"""Fires on a calendar: months as rows of weeks, which begin on Monday."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.domain.rest_days import DayKind, DaysOff, RestDays, SpecialDay
from smsapp.domain.schedule import Fire

MOST_MONTHS = 3


@dataclass(frozen=True)
class Day:
    """A day of a month: the fires of its date, and what the calendar says about it."""

    date: dt.date
    fire: Fire | None
    special: SpecialDay | None
    rests: bool
    """Whether it is a day of rest of the calendar or a weekend."""

    @property
    def is_worked(self) -> bool:
        """Whether it is a weekend that is worked."""
        return self.special is not None and self.special.kind is DayKind.WORKING

    @property
    def is_sent(self) -> bool:
        return self.fire is not None and self.fire.is_sent


@dataclass(frozen=True)
class Month:
    first: dt.date
    weeks: Sequence[Sequence[Day | None]]
    """None: a day of another month."""


def months(fires: Sequence[Fire], rest_days: RestDays) -> list[Month]:
    """Return the months of the first fires, at most MOST_MONTHS; [] without fires."""
    fire_by_date = {fire.date: fire for fire in fires}
    firsts = sorted({fire.date.replace(day=1) for fire in fires})[:MOST_MONTHS]

    def day_of(date: dt.date, month: int) -> Day | None:
        if date.month != month:
            return None
        rests = rest_days.rests(date, DaysOff.NOT_WORKED)
        return Day(date, fire_by_date.get(date), rest_days.days.get(date), rests)

    return [
        Month(
            first,
            [
                [day_of(date, first.month) for date in week]
                for week in calendar.Calendar().monthdatescalendar(first.year, first.month)
            ],
        )
        for first in firsts
    ]
