"""When a campaign is due: calendar arithmetic in the campaign's zone. No clock, no Redis; moments are aware UTC.

A local time that does not exist (clocks go forward) is due at the first moment after the gap; one that occurs twice
(clocks go back) is due the first time only. A recurring schedule has no fire on a date that its zone skipped (Apia had
no 30 December 2011).
"""

from __future__ import annotations

import calendar
import datetime as dt
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsapp.domain.errors import Problem
from smsapp.domain.local_time import HORIZON, Oddity, exists, is_far, moment_of
from smsapp.domain.rest_days import LONGEST_REST, NO_REST_DAYS, DaysOff, Rest, RestDays

LAST_DAY = -1
"""Among `monthdays`: the last day of the month, whichever it is."""
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
    WAITED = "waited_for_rest_days"
    """It was due on a day of rest and waits for this one."""
    RESTS = "rests"
    """A day of rest: nothing is sent."""
    SKIPPED = "skipped"
    """A person has skipped this date: nothing is sent."""


ODDITIES = {Oddity.MISSING: Note.MOVED, Oddity.TWICE: Note.FIRST_OF_TWO}
UNSENT = frozenset({Note.RESTS, Note.SKIPPED})
"""Notes of fires that do not happen."""


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
    until: dt.time | None = None
    """Not later than this local time: what has not left by then expires."""
    until_date: dt.date | None = None
    """The date of `until`; None: its first time after the fire. Recurring schedules have none."""
    spread_until: dt.time | None = None
    """Sent evenly until this local time; None: as fast as the channel allows."""
    rest: Rest = Rest.IGNORED
    days_off: DaysOff = DaysOff.HOLIDAYS
    skipped: tuple[dt.date, ...] = ()
    """Local dates on which a person has skipped the fire."""

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
            **{name: moment.isoformat() for name in CHOSEN_TIMES if (moment := getattr(self, name)) is not None},
            **({"rest": self.rest.value, "days_off": self.days_off.value} if self.rest else {}),
            **({"skipped": [date.isoformat() for date in self.skipped]} if self.skipped else {}),
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
            until=dt.time.fromisoformat(raw["until"]) if raw.get("until") else None,
            until_date=dt.date.fromisoformat(raw["until_date"]) if raw.get("until_date") else None,
            spread_until=dt.time.fromisoformat(raw["spread_until"]) if raw.get("spread_until") else None,
            rest=Rest(raw.get("rest", Rest.IGNORED)),
            days_off=DaysOff(raw.get("days_off", DaysOff.HOLIDAYS)),
            skipped=tuple(dt.date.fromisoformat(date) for date in raw.get("skipped", ())),
        )


CHOSEN_TIMES = ("until", "until_date", "spread_until")


@dataclass(frozen=True)
class Fire:
    """One due moment: in UTC (`at`), in the schedule's zone (`local`), and unusual facts about it."""

    at: dt.datetime
    local: dt.datetime
    date: dt.date
    """The local date it is for; `local` may be on the next one if clocks jump over midnight."""
    notes: tuple[Note, ...] = ()

    @property
    def is_sent(self) -> bool:
        """Whether something is sent: neither does the day rest nor has a person skipped it."""
        return UNSENT.isdisjoint(self.notes)

    @property
    def is_skipped(self) -> bool:
        return Note.SKIPPED in self.notes


def known_zone(name: str) -> bool:
    """Return whether this is a zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


IMPOSSIBLE = frozenset({"date_too_far", "end_before_start", "date_in_the_past", "schedule_over", "schedule_rests"}) | {
    "until_before_start",
    "spread_past_until",
}
"""Problems of chosen values, not of missing ones: shown while a person is still choosing."""


def problems(schedule: Schedule, now: dt.datetime, rest_days: RestDays = NO_REST_DAYS) -> list[Problem]:
    """Return what prevents confirming this schedule at `now`; the place of each problem is "schedule"."""
    if not known_zone(schedule.zone):
        return [Problem("zone_unknown", "schedule", {"zone": schedule.zone})]
    if is_far(schedule.until_date):
        return [Problem("date_too_far", "schedule", {"year": HORIZON.year})]
    if schedule.kind is Kind.NOW:
        return _limit_problems(schedule, now)
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
    return problems or _due_problems(schedule, now, rest_days)


def _due_problems(schedule: Schedule, now: dt.datetime, rest_days: RestDays) -> list[Problem]:
    """Return the problems of a complete schedule: no fire is left, or its first one has an impossible limit."""
    due = next_due(schedule, now, rest_days)
    if due is not None:
        return _limit_problems(schedule, due)
    if planned_fires(schedule, now, 1, rest_days):
        return [Problem("schedule_rests", "schedule")]
    return [Problem("schedule_over" if schedule.recurring else "date_in_the_past", "schedule")]


def _limit_problems(schedule: Schedule, due: dt.datetime) -> list[Problem]:
    """Return the problems of "not later than" and "evenly until" for a fire at `due`."""
    last, spread = limit(schedule, due), spread_end(schedule, due)
    if last is not None and last <= due:
        return [Problem("until_before_start", "schedule")]
    if last is not None and spread is not None and spread > last:
        return [Problem("spread_past_until", "schedule")]
    return []


def next_due(schedule: Schedule, after: dt.datetime, rest_days: RestDays = NO_REST_DAYS) -> dt.datetime | None:
    """Return the first due moment later than `after` (both aware UTC), or None if there is none.

    `rest_days` is needed for schedules with a `rest`: services get it from services/platform/calendar.py.
    """
    fires = next_fires(schedule, after, 1, rest_days)
    return fires[0].at if fires else None


def next_fires(schedule: Schedule, after: dt.datetime, n: int, rest_days: RestDays = NO_REST_DAYS) -> list[Fire]:
    """Return the first `n` fires later than `after`; fewer if the schedule ends. An incomplete schedule has none."""
    return list(islice(filter(_is_sent, _fires(schedule, after, rest_days)), n))


def planned_fires(schedule: Schedule, after: dt.datetime, n: int, rest_days: RestDays) -> list[Fire]:
    """As `next_fires`, with those that are not sent because the day rests or a person has skipped it."""
    return list(islice(_fires(schedule, after, rest_days), n))


def fires_until(
    schedule: Schedule, after: dt.datetime, until: dt.datetime, rest_days: RestDays = NO_REST_DAYS
) -> Iterator[Fire]:
    """Yield the fires later than `after` and earlier than `until`."""
    return filter(_is_sent, takewhile(lambda fire: fire.at < until, _fires(schedule, after, rest_days)))


def _is_sent(fire: Fire) -> bool:
    return fire.is_sent


def limit(schedule: Schedule, due: dt.datetime) -> dt.datetime | None:
    """Return the moment (aware UTC) by which the texts of the fire at `due` must have left; None: there is none."""
    if schedule.until is None:
        return None
    if schedule.until_date is not None and not schedule.recurring:
        return moment_of(schedule.until_date, schedule.until, ZoneInfo(schedule.zone))[0]
    return _first_after(schedule, schedule.until, due)


def spread_end(schedule: Schedule, due: dt.datetime) -> dt.datetime | None:
    """Return the moment until which the texts of the fire at `due` leave evenly; None: they leave at full speed."""
    return None if schedule.spread_until is None else _first_after(schedule, schedule.spread_until, due)


def _first_after(schedule: Schedule, time: dt.time, due: dt.datetime) -> dt.datetime:
    """Return the first moment later than `due` at which it is this local time of day."""
    zone = ZoneInfo(schedule.zone)
    date = due.astimezone(zone).date()
    return next(at for n in range(3) if (at := moment_of(date + n * DAY, time, zone)[0]) > due)


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
    shift = start - schedule.start
    until_date = schedule.until_date and min(schedule.until_date, HORIZON - shift) + shift
    return replace(schedule, start=start, end=end, until_date=until_date)


def _fires(schedule: Schedule, after: dt.datetime, rest_days: RestDays) -> Iterator[Fire]:
    if schedule.kind is Kind.NOW or schedule.time is None or schedule.start is None:
        return
    zone = ZoneInfo(schedule.zone)
    # A fire may come later than its date (a gap over midnight), so the search begins before the day of `after`.
    first = max(schedule.start, after.astimezone(zone).date() - 2 * DAY)
    for date, date_notes in _dates_with_rest(schedule, first, rest_days):
        at, oddity = moment_of(date, schedule.time, zone)
        if oddity is Oddity.MISSING and schedule.recurring and not exists(date, zone):
            continue
        if at > after:
            skipped = (Note.SKIPPED,) * (date in schedule.skipped)
            notes = (*date_notes, *((ODDITIES[oddity],) if oddity else ()), *skipped)
            yield Fire(at, at.astimezone(zone), date, notes)


def _dates_with_rest(
    schedule: Schedule, first: dt.date, rest_days: RestDays
) -> Iterator[tuple[dt.date, tuple[Note, ...]]]:
    """Yield (local date, notes about it) from `first` on, in order, each date once, after the rule for days of rest."""
    if schedule.rest is Rest.WAIT:  # a date before `first` may wait for one after it
        for _ in range(LONGEST_REST):
            if schedule.start is None or first <= schedule.start or not rest_days.rests(first - DAY, schedule.days_off):
                break
            first -= DAY
    previous = None
    for due, clamped in _due_dates(schedule, first):
        date, notes = due, (Note.LAST_DAY,) * clamped
        if schedule.rest and rest_days.rests(due, schedule.days_off):
            allowed = rest_days.next_allowed(due, schedule.days_off) if schedule.rest is Rest.WAIT else None
            if allowed is None or (schedule.recurring and schedule.end is not None and allowed > schedule.end):
                notes = (Note.RESTS,)
            else:
                date, notes = allowed, (Note.WAITED,)
        if date != previous:
            yield date, notes
        if Note.RESTS not in notes:
            previous = date


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
