"""Days on which marketing rests: public holidays, and the weekends that are worked instead (调休)."""

from __future__ import annotations

import csv
import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("rest_days_cn.csv")
"""China's days: date, kind, name, "provisional" while the State Council has not published its year."""
LONGEST_REST = 60
"""A fire waits at most so many days for one that does not rest; a calendar of nothing else is a mistake."""
DAY = dt.timedelta(days=1)


class DayKind(enum.StrEnum):
    OFF = "off"
    WORKING = "working"
    """Worked though it is a weekend."""


class Rest(enum.StrEnum):
    """What becomes of a fire on a day of rest."""

    IGNORED = ""
    """It is sent as on any other day."""
    WAIT = "wait"
    """It is sent on the next day that does not rest; several that wait for the same day are one."""
    SKIP = "skip"


class DaysOff(enum.StrEnum):
    """Which days rest."""

    HOLIDAYS = "holidays"
    NOT_WORKED = "not_worked"
    """Holidays and weekends, except those that are worked instead."""


@dataclass(frozen=True)
class SpecialDay:
    """A holiday, or a weekend that is worked."""

    date: dt.date
    kind: DayKind
    name: str = ""
    provisional: bool = False
    """The statutory date of a year whose days have not been published yet."""


@dataclass(frozen=True)
class RestDays:
    """The calendar of an installation: special days by date."""

    days: Mapping[dt.date, SpecialDay] = field(default_factory=dict)

    @classmethod
    def of(cls, days: Iterable[SpecialDay]) -> RestDays:
        return cls({day.date: day for day in days})

    def rests(self, date: dt.date, days_off: DaysOff) -> bool:
        """Return whether marketing rests on this date."""
        special = self.days.get(date)
        if special is not None:
            return special.kind is DayKind.OFF
        return days_off is DaysOff.NOT_WORKED and date.isoweekday() > 5

    def next_allowed(self, date: dt.date, days_off: DaysOff) -> dt.date | None:
        """Return this date or the first one after it that does not rest; None if none does within LONGEST_REST."""
        return next((day for n in range(LONGEST_REST) if not self.rests(day := date + n * DAY, days_off)), None)

    def resting(self, first: dt.date, days: int, days_off: DaysOff) -> list[dt.date]:
        """Return the dates that rest among `days` dates from `first` on."""
        return [date for n in range(days) if self.rests(date := first + n * DAY, days_off)]


NO_REST_DAYS = RestDays()


@cache
def shipped() -> tuple[SpecialDay, ...]:
    """Return the days that come with the application, in order."""
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        return tuple(
            SpecialDay(dt.date.fromisoformat(row["date"]), DayKind(row["kind"]), row["name"], bool(row["provisional"]))
            for row in csv.DictReader(file)
        )


def merged(own: Iterable[SpecialDay]) -> RestDays:
    """Return the shipped days, except of years for which there are own ones: these replace the whole year."""
    own_days = list(own)
    years = {day.date.year for day in own_days}
    return RestDays.of([*(day for day in shipped() if day.date.year not in years), *own_days])
