"""When a run begins and ends."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain import quiet
from smsapp.domain.forecast import Forecast, ahead, forecast, late, shared
from smsapp.domain.quiet import QuietHours

NIGHT = quiet.read("21:00", "08:00", "Asia/Shanghai")
NOON = quiet.read("12:00", "13:00", "Asia/Shanghai")


def shanghai(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=dt.timezone(dt.timedelta(hours=8))).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("start", "messages", "rate", "hours", "expected"),
    [
        (shanghai(2, 10), 600, 10, None, Forecast(shanghai(2, 10), shanghai(2, 10, 1), False, 0)),
        (shanghai(2, 10), 600, None, NIGHT, Forecast(shanghai(2, 10), None, False, 0)),
        (shanghai(2, 22), 600, 10, NIGHT, Forecast(shanghai(3, 8), shanghai(3, 8, 1), True, 0)),
        (shanghai(2, 22), 600, None, NIGHT, Forecast(shanghai(3, 8), None, True, 0)),
        (shanghai(2, 20), 36_000, 1, NIGHT, Forecast(shanghai(2, 20), shanghai(3, 17), False, 1)),
        (shanghai(2, 20), 3600, 1, NIGHT, Forecast(shanghai(2, 20), shanghai(2, 21), False, 0)),
        (shanghai(2, 11), 3 * 3600, 1, NOON, Forecast(shanghai(2, 11), shanghai(2, 15), False, 1)),
        (shanghai(2, 14), 3600, 1, NOON, Forecast(shanghai(2, 14), shanghai(2, 15), False, 0)),
        # noon is over for today: it interrupts tomorrow
        (shanghai(2, 14), 25 * 3600, 1, NOON, Forecast(shanghai(2, 14), shanghai(3, 16), False, 1)),
        # it is another date in Shanghai than in Greenwich
        (shanghai(2, 6), 10 * 3600, 1, NOON, Forecast(shanghai(2, 6), shanghai(2, 17), False, 1)),
        (
            shanghai(2, 23),
            3600,
            1,
            quiet.read("00:00", "00:00", "UTC"),
            Forecast(shanghai(2, 23), shanghai(3, 0), False, 0),
        ),
    ],
)
def test_a_forecast_counts_the_nights(
    start: dt.datetime, messages: int, rate: int | None, hours: quiet.QuietHours | None, expected: Forecast
) -> None:
    assert forecast(start, messages, rate, hours) == expected


def test_a_forecast_of_years_comes_to_an_end() -> None:
    assert forecast(shanghai(2, 10), 10**9, 1, NIGHT).pauses == 366


@pytest.mark.parametrize(
    ("messages", "queued", "rate", "wait", "expected"),
    [
        (100, [], 10, 0, 0),
        (100, [50], 10, 0, 50),
        (100, [500], 10, 0, 100),
        (100, [500, 30], 10, 0, 130),
        (100, [500, 30], 10, 10, 30),
        (100, [500, 30], 10, 60, 0),
        (100, [500], None, 0, 100),
    ],
)
def test_other_runs_of_the_channel_take_turns(
    messages: int, queued: list[int], rate: int | None, wait: int, expected: int
) -> None:
    assert ahead(messages, queued, rate, dt.timedelta(seconds=wait)) == expected


@pytest.mark.parametrize(
    ("start", "messages", "rate", "hours", "before", "expected"),
    [
        (shanghai(2, 20), 3600, 1, None, 0, 0),
        (shanghai(2, 20), 3600, 1, NIGHT, 0, 0),
        (shanghai(2, 20), 36_000, 1, NIGHT, 0, 36_000 - 3600),
        (shanghai(2, 20), 36_000, 1, NIGHT, 36_000, 36_000 - 1800),
        (shanghai(2, 22), 5, 1, NIGHT, 0, 5),
        (shanghai(2, 20), 5, None, NIGHT, 0, 0),
    ],
)
def test_messages_that_wait_for_the_end_of_the_night_are_counted(
    start: dt.datetime, messages: int, rate: int | None, hours: QuietHours | None, before: int, expected: int
) -> None:
    assert late(start, messages, shared(rate, messages, before), hours) == expected
