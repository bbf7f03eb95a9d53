"""Days of rest: China's days of 2026 as published, and every zone's fires against a walk over the calendar."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smsapp.domain.quiet import read
from smsapp.domain.rest_days import DayKind, DaysOff, Rest, RestDays, SpecialDay, merged, shipped
from smsapp.domain.schedule import Kind, Note, Schedule, next_due, next_fires, planned_fires, problems

ZONES = sorted(name for name in zoneinfo.available_timezones() if name not in {"Factory", "localtime"})
SHANGHAI = "Asia/Shanghai"
CHINA = merged([])
FIRST, LAST = dt.date(2026, 1, 1), dt.date(2027, 12, 31)
BEFORE = dt.datetime(2025, 12, 30, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def days(begin: str, end: str) -> set[dt.date]:
    first, last = dt.date.fromisoformat(begin), dt.date.fromisoformat(end)
    return {first + n * DAY for n in range((last - first).days + 1)}


def of(year: int, kind: DayKind) -> set[dt.date]:
    return {day.date for day in shipped() if day.date.year == year and day.kind is kind}


def test_the_days_of_2026_are_those_of_the_state_councils_notice() -> None:
    assert of(2026, DayKind.OFF) == (
        days("2026-01-01", "2026-01-03")
        | days("2026-02-15", "2026-02-23")
        | days("2026-04-04", "2026-04-06")
        | days("2026-05-01", "2026-05-05")
        | days("2026-06-19", "2026-06-21")
        | days("2026-09-25", "2026-09-27")
        | days("2026-10-01", "2026-10-07")
    )
    worked = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")
    assert of(2026, DayKind.WORKING) == {dt.date.fromisoformat(date) for date in worked}
    assert all(date.isoweekday() > 5 for date in of(2026, DayKind.WORKING))
    assert not any(day.provisional for day in shipped() if day.date.year == 2026)


def test_the_days_of_2027_are_the_statutory_ones_and_say_so() -> None:
    assert len(of(2027, DayKind.OFF)) == 13  # as the regulation of 2024 counts them
    assert of(2027, DayKind.WORKING) == set()
    assert all(day.provisional for day in shipped() if day.date.year == 2027)


def test_own_days_replace_their_whole_year_and_no_other() -> None:
    own = merged([SpecialDay(dt.date(2027, 3, 3), DayKind.OFF)])
    assert own.rests(dt.date(2027, 3, 3), DaysOff.HOLIDAYS)
    assert not own.rests(dt.date(2027, 10, 1), DaysOff.HOLIDAYS)
    assert own.rests(dt.date(2026, 10, 1), DaysOff.HOLIDAYS)


def rests(date: dt.date, days_off: DaysOff) -> bool:
    """The tests' own reading of the rule."""
    if date in of(date.year, DayKind.OFF):
        return True
    weekend = date.isoweekday() > 5 and date not in of(date.year, DayKind.WORKING)
    return weekend and days_off is DaysOff.NOT_WORKED


def walk(schedule: Schedule) -> Iterator[dt.date]:
    """Yield the dates on which something is sent, in the plainest possible way."""
    waiting = False
    date = FIRST
    while date <= LAST:
        due = schedule.kind is Kind.DAILY or date.isoweekday() in schedule.weekdays
        if rests(date, schedule.days_off) and schedule.rest:
            waiting = waiting or (due and schedule.rest is Rest.WAIT)
        elif due or waiting:
            waiting = False
            if date not in schedule.skipped:
                yield date
        date += DAY


RULES = [(rest, days_off) for rest in (Rest.WAIT, Rest.SKIP) for days_off in DaysOff]
SKIPPED = (dt.date(2026, 3, 9), dt.date(2026, 10, 8), dt.date(2027, 2, 9))


@pytest.mark.parametrize(("rest", "days_off"), RULES)
def test_in_every_zone_the_fires_of_two_years_are_those_of_the_calendar(rest: Rest, days_off: DaysOff) -> None:
    expected: dict[tuple[int, ...], list[dt.date]] = {}
    for n, zone in enumerate(ZONES):
        weekdays = ((1, 2, 3, 4, 5, 6, 7), (1,), (6, 7), (5, 7))[n % 4]
        # 02:30 is the hour in which most zones change their clocks
        schedule = Schedule(Kind.WEEKLY, zone, dt.time(2, 30), FIRST, LAST, weekdays, rest=rest, days_off=days_off)
        schedule = Schedule.from_json(schedule.as_json() | {"skipped": [str(date) for date in SKIPPED]})
        fires = next_fires(schedule, BEFORE, 800, CHINA)
        if weekdays not in expected:
            expected[weekdays] = list(walk(schedule))
        assert [fire.date for fire in fires] == expected[weekdays], zone
        moved = [fire for fire in fires if fire.local.time() != dt.time(2, 30)]
        assert all(Note.MOVED in fire.notes for fire in moved), zone
        assert all(earlier.at < later.at for earlier, later in pairwise(fires)), zone


@given(
    zone=st.sampled_from(ZONES),
    rule=st.sampled_from(RULES),
    weekdays=st.sets(st.integers(1, 7), min_size=1),
    time=st.times().map(lambda time: time.replace(microsecond=0)),
    begin=st.dates(dt.date(2026, 1, 1), dt.date(2027, 9, 1)),
)
@example(SHANGHAI, (Rest.SKIP, DaysOff.NOT_WORKED), {6}, dt.time(), FIRST)
@settings(max_examples=60, deadline=None)
def test_a_scheduler_that_goes_from_fire_to_fire_finds_the_same_ones(
    zone: str, rule: tuple[Rest, DaysOff], weekdays: set[int], time: dt.time, begin: dt.date
) -> None:
    schedule = Schedule(Kind.WEEKLY, zone, time, begin, weekdays=tuple(weekdays), rest=rule[0], days_off=rule[1])
    after = dt.datetime.combine(begin, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC) - DAY
    listed = [fire.at for fire in next_fires(schedule, after, 40, CHINA)]
    walked: list[dt.datetime] = []
    # a schedule of weekends that only works on working days ends with the last working weekend of the calendar
    while len(walked) < 40 and (due := next_due(schedule, walked[-1] if walked else after, CHINA)) is not None:
        # asked at any moment before it is due, it is the same one
        assert next_due(schedule, due - dt.timedelta(seconds=1), CHINA) == due
        walked.append(due)
    assert walked == listed
    assert walked or rule == (Rest.SKIP, DaysOff.NOT_WORKED)


def test_a_single_send_on_a_holiday_waits_for_the_first_day_after_it() -> None:
    schedule = Schedule(Kind.ONCE, SHANGHAI, dt.time(10), dt.date(2026, 10, 2), rest=Rest.WAIT)
    (fire,) = next_fires(schedule, BEFORE, 2, CHINA)
    assert (fire.date, fire.notes) == (dt.date(2026, 10, 8), (Note.WAITED,))
    # also when it is asked in between
    assert next_due(schedule, dt.datetime(2026, 10, 7, 12, tzinfo=dt.UTC), CHINA) == fire.at


def test_a_schedule_of_nothing_but_holidays_says_so() -> None:
    schedule = Schedule(Kind.ONCE, SHANGHAI, dt.time(10), dt.date(2026, 10, 2), rest=Rest.SKIP)
    assert [problem.code for problem in problems(schedule, BEFORE, CHINA)] == ["schedule_rests"]
    assert [fire.notes for fire in planned_fires(schedule, BEFORE, 5, CHINA)] == [(Note.RESTS,)]


def test_nothing_waits_beyond_the_end_of_its_schedule() -> None:
    schedule = Schedule(Kind.DAILY, SHANGHAI, dt.time(10), dt.date(2026, 9, 30), dt.date(2026, 10, 5), rest=Rest.WAIT)
    assert [fire.date for fire in next_fires(schedule, BEFORE, 9, CHINA)] == [dt.date(2026, 9, 30)]


@pytest.mark.parametrize(
    ("now", "over"),
    [
        ("2026-09-30T23:59+08:00", None),
        ("2026-10-01T00:00+08:00", "2026-10-08T08:00+08:00"),
        ("2026-10-07T23:00+08:00", "2026-10-08T08:00+08:00"),
        ("2026-10-08T12:00+08:00", None),
    ],
)
def test_days_of_rest_and_quiet_hours_end_together(now: str, over: str | None) -> None:
    rest = [str(date) for date in days("2026-10-01", "2026-10-07")]
    hours = read("00:00", "08:00", SHANGHAI, rest)
    assert hours.over_at(dt.datetime.fromisoformat(now)) == (over and dt.datetime.fromisoformat(over))


def test_a_calendar_of_nothing_but_rest_keeps_nobody_waiting_for_ever() -> None:
    never = RestDays.of(SpecialDay(FIRST + n * DAY, DayKind.OFF) for n in range(200))
    schedule = Schedule(Kind.ONCE, SHANGHAI, dt.time(10), dt.date(2026, 1, 2), rest=Rest.WAIT)
    assert next_due(schedule, BEFORE, never) is None
