"""When a campaign is due: calendar arithmetic in the campaign's zone. No clock, no Redis; moments are aware UTC.

A local time that does not exist (clocks go forward) is due at the first moment after the gap; one that occurs twice
(clocks go back) is due the first time only. A recurring schedule has no fire on a date that its zone skipped (Apia had
no 30 December 2011).
"""

from __future__ import annotations

import calendar
import datetime as dt
import enum
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsapp.domain.errors import Problem

LAST_DAY = -1
"""Among `monthdays`: the last day of the month, whichever it is."""
HORIZON = dt.date(9990, 1, 1)
DAY = dt.timedelta(days=1)
WEEK = 7 * DAY


class Kind(enum.StrEnum):
    NOW = "now"
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


RECURRING = frozenset({Kind.DAILY, Kind.WEEKLY, Kind.MONTHLY})


class Note(enum.StrEnum):
    """An unusual fact about a fire."""

    MOVED = "moved_by_clock_change"
    """The local time does not exist on that date; this is the first moment after the gap."""
    FIRST_OF_TWO = "first_of_two"
    """The local time comes twice on that date; this is the first one."""
    LAST_DAY = "last_day_instead"
    """The month has no such day; this is its last one."""


@dataclass(frozen=True)
class Schedule:
    """The schedule a person chose. In a draft anything may be missing; `problems` says what."""

    kind: Kind = Kind.NOW
    zone: str = "UTC"
    time: dt.time | None = None
    """Local time of day, to the second."""
    start: dt.date | None = None
    """The date of a single send; the first possible date of a recurring one."""
    end: dt.date | None = None
    """The last possible local date, included; None = no end."""
    weekdays: tuple[int, ...] = ()
    """ISO: Monday is 1, Sunday is 7."""
    monthdays: tuple[int, ...] = ()
    """1..31 and LAST_DAY; a day that a month does not have means its last day."""

    @property
    def recurring(self) -> bool:
        return self.kind in RECURRING

    @property
    def is_at_once(self) -> bool:
        """Whether it begins as soon as it is confirmed, so that neither time nor zone matter."""
        return self.kind is Kind.NOW

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "zone": self.zone,
            "time": self.time.isoformat() if self.time else None,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "weekdays": list(self.weekdays),
            "monthdays": list(self.monthdays),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Schedule:
        """Return the schedule that `as_json` wrote; keys missing in `raw` are not chosen yet."""
        return cls(
            kind=Kind(raw.get("kind", Kind.NOW)),
            zone=raw.get("zone", "UTC"),
            time=dt.time.fromisoformat(raw["time"]) if raw.get("time") else None,
            start=dt.date.fromisoformat(raw["start"]) if raw.get("start") else None,
            end=dt.date.fromisoformat(raw["end"]) if raw.get("end") else None,
            weekdays=tuple(raw.get("weekdays", ())),
            monthdays=tuple(raw.get("monthdays", ())),
        )


@dataclass(frozen=True)
class Fire:
    """One due moment: in UTC (`at`), in the schedule's zone (`local`), and unusual facts about it."""

    at: dt.datetime
    local: dt.datetime
    date: dt.date
    """The local date it is for; `local` may be on the next one if clocks jump over midnight."""
    notes: tuple[Note, ...] = ()


def known_zone(name: str) -> bool:
    """Return whether this is a zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


IMPOSSIBLE = frozenset({"date_too_far", "end_before_start", "date_in_the_past", "schedule_over"})
"""Problems of chosen values, not of missing ones: shown while a person is still choosing."""


def problems(schedule: Schedule, now: dt.datetime) -> list[Problem]:
    """Return what prevents confirming this schedule at `now`; the place of each problem is "schedule"."""
    if not known_zone(schedule.zone):
        return [Problem("zone_unknown", "schedule", {"zone": schedule.zone})]
    if schedule.kind is Kind.NOW:
        return []
    problems: list[Problem] = []
    if schedule.start is None:
        problems.append(Problem("start_missing" if schedule.recurring else "date_missing", "schedule"))
    if schedule.time is None:
        problems.append(Problem("time_missing", "schedule"))
    if schedule.kind is Kind.WEEKLY and not schedule.weekdays:
        problems.append(Problem("weekdays_missing", "schedule"))
    if schedule.kind is Kind.MONTHLY and not schedule.monthdays:
        problems.append(Problem("monthdays_missing", "schedule"))
    if schedule.recurring and schedule.start and schedule.end and schedule.end < schedule.start:
        problems.append(Problem("end_before_start", "schedule"))
    if any(date is not None and date >= HORIZON for date in (schedule.start, schedule.end)):
        return [Problem("date_too_far", "schedule", {"year": HORIZON.year})]
    if not problems and next_due(schedule, now) is None:
        problems.append(Problem("schedule_over" if schedule.recurring else "date_in_the_past", "schedule"))
    return problems


def next_due(schedule: Schedule, after: dt.datetime) -> dt.datetime | None:
    """Return the first due moment later than `after` (both aware UTC), or None if there is none."""
    fires = next_fires(schedule, after, 1)
    return fires[0].at if fires else None


def next_fires(schedule: Schedule, after: dt.datetime, n: int) -> list[Fire]:
    """Return the first `n` fires later than `after`; fewer if the schedule ends. An incomplete schedule has none."""
    return list(islice(_fires(schedule, after), n))


def fires_until(schedule: Schedule, after: dt.datetime, until: dt.datetime) -> Iterator[Fire]:
    """Yield the fires later than `after` and earlier than `until`."""
    return takewhile(lambda fire: fire.at < until, _fires(schedule, after))


def moved_forward(schedule: Schedule, now: dt.datetime) -> Schedule:
    """Return the schedule with past dates moved forward, for a copy; the same one if none is past.

    A single send moves by whole weeks, so the weekday stays. A recurring one starts today; an end in the past moves by
    the same time.
    """
    if schedule.kind is Kind.NOW or schedule.start is None:
        return schedule
    today = now.astimezone(ZoneInfo(schedule.zone)).date()
    start, end = schedule.start, schedule.end
    if schedule.kind is Kind.ONCE:
        while start < today or (schedule.time and next_due(replace(schedule, start=start), now) is None):
            start += WEEK
    elif start < today:
        if end is not None and end < today:
            end += today - start
        start = today
    return replace(schedule, start=start, end=end)


def _fires(schedule: Schedule, after: dt.datetime) -> Iterator[Fire]:
    if schedule.kind is Kind.NOW or schedule.time is None or schedule.start is None:
        return
    zone = ZoneInfo(schedule.zone)
    # A fire may come later than its date (a gap over midnight), so the search begins before the day of `after`.
    first = max(schedule.start, after.astimezone(zone).date() - 2 * DAY)
    for date, clamped in _due_dates(schedule, first):
        at, note = _moment(date, schedule.time, zone)
        if note is Note.MOVED and schedule.recurring and not _exists(date, zone):
            continue
        if at > after:
            notes = (Note.LAST_DAY,) * clamped + ((note,) if note else ())
            yield Fire(at, at.astimezone(zone), date, notes)


def _due_dates(schedule: Schedule, first: dt.date) -> Iterator[tuple[dt.date, bool]]:
    """Yield (due local date, whether it replaces a day that its month does not have), in order, each date once."""
    if schedule.kind is Kind.ONCE:
        if schedule.start is not None and first <= schedule.start < HORIZON:
            yield schedule.start, False
        return
    if (schedule.kind is Kind.WEEKLY and not schedule.weekdays) or (
        schedule.kind is Kind.MONTHLY and not schedule.monthdays
    ):
        return
    date, end = first, min(schedule.end or HORIZON, HORIZON)
    while date <= end and date < HORIZON:
        if schedule.kind is Kind.MONTHLY:
            last = calendar.monthrange(date.year, date.month)[1]
            if date.day in schedule.monthdays or (date.day == last and LAST_DAY in schedule.monthdays):
                yield date, False
            elif date.day == last and max(schedule.monthdays) > last:
                yield date, True
        elif schedule.kind is Kind.DAILY or date.isoweekday() in schedule.weekdays:
            yield date, False
        date += DAY


def _moment(date: dt.date, time: dt.time, zone: ZoneInfo) -> tuple[dt.datetime, Note | None]:
    wall = dt.datetime.combine(date, time, zone)
    first, second = wall.astimezone(dt.UTC), wall.replace(fold=1).astimezone(dt.UTC)
    if first == second:
        return first, None
    if first < second:
        return first, Note.FIRST_OF_TWO
    # In a gap fold=1 reads the wall with the offset after it and so lands before it; fold=0 lands after it (PEP 495).
    seconds = range(int(second.timestamp()), int(first.timestamp()) + 1)
    offset = second.astimezone(zone).utcoffset()
    first_after_gap = bisect_left(
        seconds, True, key=lambda at: dt.datetime.fromtimestamp(at, zone).utcoffset() != offset
    )
    return dt.datetime.fromtimestamp(seconds[first_after_gap], dt.UTC), Note.MOVED


def _exists(date: dt.date, zone: ZoneInfo) -> bool:
    at, _ = _moment(date, dt.time(), zone)
    return at.astimezone(zone).date() == date
