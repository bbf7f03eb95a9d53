"""Not later than, evenly until, and a run's own rate."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain import own_rate
from smsapp.domain.calendar_file import read
from smsapp.domain.month_grid import months
from smsapp.domain.rest_days import DayKind, merged
from smsapp.domain.schedule import Kind, Schedule, limit, moved_forward, next_fires, problems, spread_end

SHANGHAI = "Asia/Shanghai"
NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
"""10:00 in Shanghai."""


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+08:00")


def schedule(kind: Kind = Kind.NOW, **fields: Any) -> Schedule:
    return Schedule(kind, SHANGHAI, **fields)


@pytest.mark.parametrize(
    ("fields", "due", "last"),
    [
        ({}, "2026-03-02T10:00", None),
        ({"until": dt.time(20, 30)}, "2026-03-02T10:00", "2026-03-02T20:30"),
        ({"until": dt.time(9)}, "2026-03-02T10:00", "2026-03-03T09:00"),
        ({"until": dt.time(10)}, "2026-03-02T10:00", "2026-03-03T10:00"),
        ({"until": dt.time(9), "until_date": dt.date(2026, 3, 5)}, "2026-03-02T10:00", "2026-03-05T09:00"),
    ],
)
def test_the_limit_is_the_first_such_time_or_the_one_of_its_date(
    fields: dict[str, Any], due: str, last: str | None
) -> None:
    assert limit(schedule(**fields), local(due)) == (last and local(last))


def test_each_run_of_a_recurring_campaign_has_its_own_limit() -> None:
    daily = schedule(Kind.DAILY, time=dt.time(10), start=dt.date(2026, 3, 1), until=dt.time(12))
    lasts = [limit(daily, fire.at) for fire in next_fires(daily, NOW, 2)]
    assert lasts == [local("2026-03-03T12:00"), local("2026-03-04T12:00")]


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"until": dt.time(9), "until_date": dt.date(2026, 3, 2)}, ["until_before_start"]),
        ({"until": dt.time(11), "spread_until": dt.time(12)}, ["spread_past_until"]),
        ({"until": dt.time(12), "spread_until": dt.time(12)}, []),
    ],
)
def test_impossible_limits_are_said(fields: dict[str, Any], codes: list[str]) -> None:
    assert [problem.code for problem in problems(schedule(**fields), NOW)] == codes


def test_a_limit_moves_with_the_date_of_a_copy() -> None:
    once = schedule(
        Kind.ONCE, time=dt.time(9), start=dt.date(2026, 2, 2), until=dt.time(9), until_date=dt.date(2026, 2, 3)
    )
    moved = moved_forward(once, NOW)
    assert (moved.start, moved.until_date) == (dt.date(2026, 3, 9), dt.date(2026, 3, 10))


def test_evenly_until_ends_at_that_time() -> None:
    assert spread_end(schedule(spread_until=dt.time(12)), NOW) == local("2026-03-02T12:00")
    assert own_rate.even_rate(7200, NOW, local("2026-03-02T12:00")) == 1.0
    assert own_rate.even_rate(7200, local("2026-03-02T12:00"), NOW) is None


@given(
    rate=st.floats(0.01, 500),
    steps=st.lists(st.floats(0, 60), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sends_more_than_its_share(rate: float, steps: list[float]) -> None:
    """However often it is asked, a run sends at most its rate, plus what a pause may have earned."""
    now, used_until = NOW, NOW
    times: list[tuple[dt.datetime, int]] = []
    for seconds in steps:
        now += dt.timedelta(seconds=seconds)
        n = own_rate.allowance(rate, used_until, now)
        if n:
            used_until = own_rate.used(rate, used_until, now, n)
            times.append((now, n))
    burst = max(own_rate.BURST * rate, 1)
    for first in range(len(times)):
        for last in range(first, len(times)):
            sent = sum(n for _at, n in times[first : last + 1])
            span = (times[last][0] - times[first][0]).total_seconds()
            assert sent <= rate * span + burst + 0.01


def test_a_file_of_days_is_read_in_chinese_and_english_and_says_what_it_cannot_read() -> None:
    file = read(
        "日期,类型,名称\n2027-01-01,放假,元旦\n2027/1/4,上班\n\n2027年2月6日,休,春节\nmaybe,off\n2027-05-01,?\n".encode()
    )
    assert [(str(day.date), day.kind, day.name) for day in file.days] == [
        ("2027-01-01", DayKind.OFF, "元旦"),
        ("2027-01-04", DayKind.WORKING, ""),
        ("2027-02-06", DayKind.OFF, "春节"),
    ]
    assert [(row, problem.code) for row, problem in file.complaints] == [(6, "rest_day_date"), (7, "rest_day_kind")]
    assert file.years == [2027]


def test_all_day_events_of_an_icalendar_file_are_days() -> None:
    lines = [
        *("BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;VALUE=DATE:20270205", "DTEND;VALUE=DATE:20270208"),
        *("SUMMARY:Spring", "  Festival\\, 2027", "END:VEVENT"),
        *("BEGIN:VEVENT", "DTSTART;VALUE=DATE:20270214", "SUMMARY:春节（班）", "END:VEVENT"),
        *("BEGIN:VEVENT", "DTSTART:20270301T090000Z", "SUMMARY:Meeting", "END:VEVENT", "END:VCALENDAR"),
    ]
    file = read("\r\n".join(lines).encode())
    assert [(str(day.date), day.kind, day.name) for day in file.days] == [
        ("2027-02-05", DayKind.OFF, "Spring Festival, 2027"),
        ("2027-02-06", DayKind.OFF, "Spring Festival, 2027"),
        ("2027-02-07", DayKind.OFF, "Spring Festival, 2027"),
        ("2027-02-14", DayKind.WORKING, "春节（班）"),
    ]
    assert [problem.code for _row, problem in file.complaints] == ["rest_day_date"]


def test_fires_stand_on_calendar_pages_beside_days_of_rest() -> None:
    daily = schedule(Kind.WEEKLY, time=dt.time(10), start=dt.date(2026, 9, 28), weekdays=(1, 4))
    (september, october) = months(next_fires(daily, local("2026-09-28T00:00"), 4), merged([]))
    cells = {day.date: day for month in (september, october) for week in month.weeks for day in week if day}
    assert len(cells) == 61
    assert [str(date) for date, day in cells.items() if day.is_sent] == [
        *("2026-09-28", "2026-10-01", "2026-10-05", "2026-10-08"),
    ]
    assert (cells[dt.date(2026, 10, 2)].rests, cells[dt.date(2026, 10, 10)].rests) == (True, False)
    assert cells[dt.date(2026, 10, 10)].is_worked
    assert all(len(week) == 7 for week in october.weeks)
