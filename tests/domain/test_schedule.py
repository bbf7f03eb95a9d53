"""Schedules against every zone and every change of clocks."""

from __future__ import annotations

import calendar
import datetime as dt
import functools
import zoneinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smsapp.domain.schedule import (
    LAST_DAY,
    Kind,
    Note,
    Schedule,
    moved_forward,
    next_due,
    next_fires,
    problems,
)

ZONES = sorted(name for name in zoneinfo.available_timezones() if name not in {"Factory", "localtime"})
FIRST, LAST = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2028, 1, 1, tzinfo=dt.UTC)
SHANGHAI = "Asia/Shanghai"


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)


@functools.cache
def transitions(name: str) -> tuple[dt.datetime, ...]:
    """Return the moments within three years at which the zone's offset changes."""
    zone, found, at = ZoneInfo(name), [], FIRST
    while at < LAST:
        later = at + dt.timedelta(hours=12)
        if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = int(at.timestamp()), int(later.timestamp())
            while high - low > 1:
                middle = (low + high) // 2
                same = dt.datetime.fromtimestamp(middle, zone).utcoffset() == at.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(dt.datetime.fromtimestamp(high, dt.UTC))
        at = later
    return tuple(found)


def is_due(schedule: Schedule, date: dt.date) -> bool:
    """Say whether the date is due, in the plainest possible way: the tests' own reading of the rules."""
    assert schedule.start is not None
    if date < schedule.start or (schedule.end and date > schedule.end):
        return False
    if schedule.kind is Kind.DAILY:
        return True
    if schedule.kind is Kind.WEEKLY:
        return date.isoweekday() in schedule.weekdays
    last = calendar.monthrange(date.year, date.month)[1]
    return date.day in {last if day == LAST_DAY else min(day, last) for day in schedule.monthdays}


def check(schedule: Schedule, after: dt.datetime, days: int) -> None:
    """Compare the fires after `after` with a walk over the calendar of `days` days."""
    zone = ZoneInfo(schedule.zone)
    until = after.astimezone(zone).date() + dt.timedelta(days=days)
    fires = [fire for fire in next_fires(schedule, after, days + 5) if fire.date <= until]

    assert all(one.at < two.at for one, two in pairwise(fires)), "strictly increasing"
    assert all(fire.at > after for fire in fires)
    dates = [fire.date for fire in fires]
    assert len(dates) == len(set(dates)), "one fire per due date"
    first = after.astimezone(zone).date()
    every = [first + dt.timedelta(days=n) for n in range(1, days + 1)]
    due = [date for date in every if is_due(schedule, date)]
    assert [date for date in dates if date > first] == due
    for fire in fires:
        assert fire.local.astimezone(dt.UTC) == fire.at
        assert fire.local.tzinfo is zone
        assert schedule.time is not None
        wall = dt.datetime.combine(fire.date, schedule.time)
        if Note.MOVED in fire.notes:
            assert wall.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != wall
            earlier = (fire.at - dt.timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
            assert earlier < wall < fire.local.replace(tzinfo=None), "the first moment after the gap"
        else:
            assert fire.local.replace(tzinfo=None) == wall
            assert fire.local.fold == 0, "the first of two"
            again = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
            assert (Note.FIRST_OF_TWO in fire.notes) == (again > fire.at)


def schedules(zone: str, around: dt.datetime) -> st.SearchStrategy[Schedule]:
    """Return recurring schedules whose time of day lies near this moment's, some of them ending."""
    local = around.astimezone(ZoneInfo(zone))
    near = st.integers(-7300, 7300).map(
        lambda seconds: (local.replace(tzinfo=None) + dt.timedelta(seconds=seconds)).time()
    )
    start = st.integers(-70, 3).map(lambda days: local.date() + dt.timedelta(days=days))
    end = st.none() | st.integers(-4, 40).map(lambda days: local.date() + dt.timedelta(days=days))
    return st.builds(
        Schedule,
        kind=st.sampled_from([Kind.DAILY, Kind.WEEKLY, Kind.MONTHLY]),
        zone=st.just(zone),
        time=near,
        start=start,
        end=end,
        weekdays=st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
        monthdays=st.sets(st.sampled_from([LAST_DAY, *range(1, 32)]), min_size=1).map(lambda days: tuple(sorted(days))),
    )


@given(data=st.data(), zone=st.sampled_from(ZONES))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_around_any_transition_there_is_one_fire_per_due_date_and_they_only_go_forward(
    data: st.DataObject, zone: str
) -> None:
    around = data.draw(st.sampled_from(transitions(zone) or (utc(2026, 2, 28, 12),)))
    schedule = data.draw(schedules(zone, around))
    after = around - dt.timedelta(days=2, seconds=data.draw(st.integers(0, 90_000)))

    check(schedule, after, days=45)


@pytest.mark.parametrize("kind", [Kind.DAILY, Kind.WEEKLY, Kind.MONTHLY])
def test_every_transition_of_every_zone_in_three_years(kind: Kind) -> None:
    """Not a sample: each transition, with a time of day just before, in the middle of and just after the jump."""
    seen = set()
    for zone in ZONES:
        for around in transitions(zone):
            after = around - dt.timedelta(days=1, hours=12)
            offsets = (around - dt.timedelta(seconds=1)).astimezone(ZoneInfo(zone)), around.astimezone(ZoneInfo(zone))
            walls = sorted(one.replace(tzinfo=None) for one in offsets)
            key = (around, *walls)
            if key in seen:  # many names are one zone
                continue
            seen.add(key)
            for wall in (walls[0] - dt.timedelta(seconds=1), walls[0] + (walls[1] - walls[0]) / 2, walls[1]):
                date = wall.date()
                schedule = Schedule(
                    kind,
                    zone,
                    wall.time().replace(microsecond=0),
                    start=date - dt.timedelta(days=40),
                    end=date + dt.timedelta(days=3),
                    weekdays=(date.isoweekday(),),
                    monthdays=(date.day, 31),
                )
                check(schedule, after, days=8)
    assert len(seen) > 150


@given(zone=st.sampled_from(ZONES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_walking_from_fire_to_fire_is_the_same_as_asking_for_many(zone: str, data: st.DataObject) -> None:
    around = data.draw(st.sampled_from(transitions(zone) or (utc(2027, 3, 28, 1),)))
    schedule = data.draw(schedules(zone, around))
    after = around - dt.timedelta(days=3)
    walked: list[dt.datetime] = []
    while len(walked) < 8 and (at := next_due(schedule, walked[-1] if walked else after)):
        walked.append(at)

    assert walked == [fire.at for fire in next_fires(schedule, after, 8)]


@given(zone=st.sampled_from(ZONES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_schedule_with_an_end_stops_and_one_without_goes_on(zone: str, data: st.DataObject) -> None:
    around = data.draw(st.sampled_from(transitions(zone) or (utc(2025, 10, 26, 1),)))
    schedule = data.draw(schedules(zone, around))
    after = around - dt.timedelta(days=3)

    fires = next_fires(schedule, after, 400)

    if schedule.end is None:
        assert len(fires) == 400
    else:
        assert len(fires) < 400
        assert all(fire.date <= schedule.end for fire in fires)
        assert next_due(schedule, utc(2030, 1, 1)) is None


@given(zone=st.sampled_from(ZONES), seconds=st.integers(-7300, 7300), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_single_send_fires_once_in_its_life(zone: str, seconds: int, data: st.DataObject) -> None:
    around = data.draw(st.sampled_from(transitions(zone) or (utc(2025, 6, 1, 4),)))
    wall = (around.astimezone(ZoneInfo(zone)) + dt.timedelta(seconds=seconds)).replace(tzinfo=None)
    schedule = Schedule(Kind.ONCE, zone, wall.time(), start=wall.date())

    (fire,) = next_fires(schedule, around - dt.timedelta(days=400), 5)

    assert fire.date == wall.date()
    assert next_due(schedule, fire.at) is None
    assert next_due(schedule, fire.at - dt.timedelta(seconds=1)) == fire.at


def test_a_time_in_the_gap_is_sent_at_the_first_moment_after_it() -> None:
    schedule = Schedule(
        Kind.DAILY, "Europe/Berlin", dt.time(2, 30), start=dt.date(2026, 3, 28), end=dt.date(2026, 3, 30)
    )

    fires = next_fires(schedule, utc(2026, 3, 1), 10)

    assert [fire.local.strftime("%d %H:%M:%S") for fire in fires] == ["28 02:30:00", "29 03:00:00", "30 02:30:00"]
    assert [fire.notes for fire in fires] == [(), (Note.MOVED,), ()]


def test_a_time_that_comes_twice_is_sent_the_first_time_only() -> None:
    schedule = Schedule(
        Kind.DAILY, "America/New_York", dt.time(1, 30), start=dt.date(2026, 11, 1), end=dt.date(2026, 11, 2)
    )

    fires = next_fires(schedule, utc(2026, 10, 1), 10)

    assert [fire.at for fire in fires] == [utc(2026, 11, 1, 5, 30), utc(2026, 11, 2, 6, 30)]
    assert [fire.notes for fire in fires] == [(Note.FIRST_OF_TWO,), ()]


def test_a_gap_over_midnight_moves_the_last_evening_fire_to_the_next_date_and_keeps_both() -> None:
    # Clocks in Nuuk jump from 23:00 on Saturday to 00:00 on Sunday.
    schedule = Schedule(
        Kind.DAILY, "America/Nuuk", dt.time(23, 30), start=dt.date(2026, 3, 28), end=dt.date(2026, 3, 28)
    )

    (fire,) = next_fires(schedule, utc(2026, 3, 1), 10)

    assert fire.date == dt.date(2026, 3, 28)
    assert fire.local.isoformat()[:19] == "2026-03-29T00:00:00"
    assert next_due(schedule, fire.at - dt.timedelta(seconds=1)) == fire.at


def test_a_date_that_a_zone_skipped_is_not_due() -> None:
    schedule = Schedule(
        Kind.DAILY, "Pacific/Apia", dt.time(0, 0), start=dt.date(2011, 12, 29), end=dt.date(2011, 12, 31)
    )

    assert [fire.date.day for fire in next_fires(schedule, utc(2011, 12, 1), 10)] == [29, 31]


def test_a_single_send_on_a_skipped_date_is_sent_when_the_calendar_goes_on() -> None:
    schedule = Schedule(Kind.ONCE, "Pacific/Apia", dt.time(9, 0), start=dt.date(2011, 12, 30))

    (fire,) = next_fires(schedule, utc(2011, 12, 1), 10)

    assert fire.local.isoformat()[:19] == "2011-12-31T00:00:00"
    assert fire.notes == (Note.MOVED,)


def test_days_a_month_lacks_are_its_last_day_and_fire_once() -> None:
    schedule = Schedule(
        Kind.MONTHLY, SHANGHAI, dt.time(9, 30), start=dt.date(2027, 1, 1), monthdays=(29, 30, 31, LAST_DAY)
    )

    fires = next_fires(schedule, utc(2026, 12, 1), 8)

    assert [fire.date.isoformat()[5:] for fire in fires] == [
        "01-29", "01-30", "01-31", "02-28", "03-29", "03-30", "03-31", "04-29",
    ]  # fmt: skip


def test_a_day_that_stands_in_says_so() -> None:
    schedule = Schedule(Kind.MONTHLY, SHANGHAI, dt.time(9, 30), start=dt.date(2027, 1, 1), monthdays=(31,))

    fires = next_fires(schedule, utc(2026, 12, 1), 3)

    assert [(fire.date.isoformat()[5:], fire.notes) for fire in fires] == [
        ("01-31", ()), ("02-28", (Note.LAST_DAY,)), ("03-31", ()),
    ]  # fmt: skip


def test_a_leap_day_is_used_when_there_is_one() -> None:
    schedule = Schedule(Kind.MONTHLY, SHANGHAI, dt.time(9, 30), start=dt.date(2028, 2, 1), monthdays=(29,))

    assert next_fires(schedule, utc(2028, 1, 1), 1)[0].date == dt.date(2028, 2, 29)


def test_a_send_due_at_this_very_second_is_not_ahead_any_more() -> None:
    schedule = Schedule(Kind.ONCE, SHANGHAI, dt.time(9, 30, 15), start=dt.date(2026, 12, 1))

    assert next_due(schedule, utc(2026, 12, 1, 1, 30, 14)) == utc(2026, 12, 1, 1, 30, 15)
    assert next_due(schedule, utc(2026, 12, 1, 1, 30, 15)) is None


@pytest.mark.parametrize(
    ("schedule", "codes"),
    [
        (Schedule(), []),
        (Schedule(Kind.NOW, "Mars/Olympus"), ["zone_unknown"]),
        (Schedule(Kind.NOW, "../etc/passwd"), ["zone_unknown"]),
        (Schedule(Kind.ONCE, SHANGHAI), ["date_missing", "time_missing"]),
        (Schedule(Kind.ONCE, SHANGHAI, dt.time(9), dt.date(2026, 11, 1)), ["date_in_the_past"]),
        (Schedule(Kind.ONCE, SHANGHAI, dt.time(9), dt.date(2026, 12, 1)), []),
        (Schedule(Kind.DAILY, SHANGHAI), ["start_missing", "time_missing"]),
        (Schedule(Kind.WEEKLY, SHANGHAI, dt.time(9), dt.date(2026, 12, 1)), ["weekdays_missing"]),
        (Schedule(Kind.MONTHLY, SHANGHAI, dt.time(9), dt.date(2026, 12, 1)), ["monthdays_missing"]),
        (Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 12, 1), dt.date(2026, 11, 30)), ["end_before_start"]),
        (Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 1, 1), dt.date(2026, 11, 21)), ["schedule_over"]),
        (
            Schedule(Kind.WEEKLY, SHANGHAI, dt.time(9), dt.date(2026, 12, 1), dt.date(2026, 12, 3), weekdays=(6,)),
            ["schedule_over"],
        ),
        (Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 1, 1)), []),
    ],
)
def test_what_a_schedule_lacks_is_said(schedule: Schedule, codes: list[str]) -> None:
    found = problems(schedule, utc(2026, 11, 22, 4))

    assert [problem.code for problem in found] == codes
    assert all(problem.place == "schedule" for problem in found)


@given(
    schedule=schedules(SHANGHAI, utc(2026, 6, 1, 4))
    | st.builds(Schedule, zone=st.sampled_from(ZONES), kind=st.sampled_from(Kind), start=st.none() | st.dates())
)
@example(Schedule())
def test_json_keeps_everything(schedule: Schedule) -> None:
    assert Schedule.from_json(schedule.as_json()) == schedule


def test_an_incomplete_schedule_has_no_fires() -> None:
    for kind in Kind:
        assert next_fires(Schedule(kind, SHANGHAI), utc(2026, 1, 1), 3) == []
    for kind in (Kind.WEEKLY, Kind.MONTHLY):
        assert next_fires(Schedule(kind, SHANGHAI, dt.time(9), dt.date(2026, 1, 1)), utc(2026, 1, 1), 3) == []


def test_a_copy_of_a_past_single_send_moves_on_by_weeks_and_keeps_weekday_and_time() -> None:
    now = utc(2026, 11, 22, 4)
    past = Schedule(Kind.ONCE, SHANGHAI, dt.time(9, 30), start=dt.date(2026, 11, 8))

    moved = moved_forward(past, now)

    assert moved.start == dt.date(2026, 11, 29), "today at 09:30 is over already at noon"
    assert moved_forward(past, utc(2026, 11, 22, 0)).start == dt.date(2026, 11, 22)
    assert moved_forward(moved, now) == moved
    assert moved_forward(Schedule(Kind.ONCE, SHANGHAI, start=dt.date(2026, 11, 8)), now).start == dt.date(2026, 11, 22)


def test_a_copy_of_a_recurring_campaign_starts_today_and_keeps_its_length() -> None:
    now = utc(2026, 11, 22, 4)
    running = Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 11, 1), dt.date(2026, 12, 31))
    over = Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 10, 1), dt.date(2026, 10, 11))
    ahead = Schedule(Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 12, 1))

    assert moved_forward(running, now) == Schedule(
        Kind.DAILY, SHANGHAI, dt.time(9), dt.date(2026, 11, 22), dt.date(2026, 12, 31)
    )
    assert moved_forward(over, now).end == dt.date(2026, 12, 2)
    assert moved_forward(ahead, now) == ahead
    assert moved_forward(Schedule(), now) == Schedule()


@pytest.mark.parametrize("kind", [Kind.NOW, Kind.ONCE])
@pytest.mark.parametrize("date", [dt.date.min, dt.date(1999, 12, 31), dt.date(9990, 1, 1), dt.date.max])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_limit_at_the_ends_of_the_calendar_gets_a_sentence(kind: Kind, date: dt.date, zone: str) -> None:
    until = dt.time(23, 59) if date.year > 9000 else dt.time(0)
    past = dt.date(2026, 3, 1) if kind is Kind.ONCE else None
    schedule = Schedule(kind=kind, zone=zone, time=dt.time(10), start=past, until=until, until_date=date)
    now = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    assert [problem.code for problem in problems(schedule, now)] == ["date_too_far"]
    assert moved_forward(schedule, now).kind is kind


@pytest.mark.parametrize("kind", [Kind.ONCE, Kind.DAILY])
@pytest.mark.parametrize("date", [dt.date(9990, 1, 1), dt.date(9999, 12, 31)])
def test_a_date_at_the_end_of_the_calendar_gets_a_sentence(kind: Kind, date: dt.date) -> None:
    schedule = Schedule(kind=kind, zone="Asia/Shanghai", time=dt.time(10), start=date)
    now = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    assert [problem.code for problem in problems(schedule, now)] == ["date_too_far"]
    assert next_due(schedule, now) is None
