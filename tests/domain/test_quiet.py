"""Quiet hours: when they are over, whatever the zone, the date and the clock change."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain.quiet import QuietHours, read


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


NIGHT = read("21:00", "09:00", "Asia/Shanghai")
NOON = read("12:00", "14:00", "Asia/Shanghai")
BERLIN = read("22:00", "02:30", "Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "now", "over"),
    [
        pytest.param(NIGHT, "2026-03-02T12:59:59.999999", None, id="just before a night begins"),
        pytest.param(NIGHT, "2026-03-02T13:00", "2026-03-03T01:00", id="when a night begins"),
        pytest.param(NIGHT, "2026-03-02T15:59", "2026-03-03T01:00", id="before midnight"),
        pytest.param(NIGHT, "2026-03-02T16:00", "2026-03-03T01:00", id="at midnight"),
        pytest.param(NIGHT, "2026-03-03T00:59:59", "2026-03-03T01:00", id="just before a night ends"),
        pytest.param(NIGHT, "2026-03-03T01:00", None, id="when a night ends"),
        pytest.param(NIGHT, "2026-12-31T14:00", "2027-01-01T01:00", id="over the end of a year"),
        pytest.param(NIGHT, "2028-02-28T14:00", "2028-02-29T01:00", id="before a leap day"),
        pytest.param(NOON, "2026-03-02T03:59:59", None, id="before noon"),
        pytest.param(NOON, "2026-03-02T04:00", "2026-03-02T06:00", id="when noon begins"),
        pytest.param(NOON, "2026-03-02T05:59:59", "2026-03-02T06:00", id="just before noon ends"),
        pytest.param(NOON, "2026-03-02T06:00", None, id="when noon ends"),
        pytest.param(NOON, "2026-03-02T20:00", None, id="in the night, if only noon is quiet"),
        pytest.param(BERLIN, "2026-01-10T00:00", "2026-01-10T01:30", id="in winter"),
        pytest.param(BERLIN, "2026-07-10T00:00", "2026-07-10T00:30", id="in summer"),
        pytest.param(BERLIN, "2026-03-29T00:00", "2026-03-29T01:30", id="an end in the hour that is left out"),
        pytest.param(BERLIN, "2026-10-25T00:10", "2026-10-25T00:30", id="an end in the hour that comes twice"),
        pytest.param(BERLIN, "2026-10-25T00:40", None, id="behind that end, for the first time"),
        pytest.param(BERLIN, "2026-10-25T01:10", "2026-10-25T01:11", id="quiet again when the hour comes again"),
    ],
)
def test_texts_leave_as_soon_as_quiet_hours_are_over(hours: QuietHours, now: str, over: str | None) -> None:
    assert hours.over_at(utc(now)) == (over and utc(over))


@pytest.mark.parametrize("hour", range(24))
def test_equal_times_mean_no_quiet_hours(hour: int) -> None:
    assert read("08:00", "08:00", "Asia/Shanghai").over_at(utc(f"2026-03-02T{hour:02}:00")) is None


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati", "UTC"])
@pytest.mark.parametrize("hour", range(24))
def test_the_moment_named_is_later_and_no_longer_quiet(zone: str, hour: int) -> None:
    hours = read("21:30", "08:15", zone)
    now = utc(f"2026-05-04T{hour:02}:20")
    over = hours.over_at(now)
    if over is not None:
        assert now < over <= now + dt.timedelta(hours=11)
        assert hours.over_at(over) is None
        assert hours.over_at(over - dt.timedelta(seconds=1)) == over
        assert over.utcoffset() == dt.timedelta(0)


def test_quiet_hours_are_read_from_texts() -> None:
    assert read("21:00", "08:30", "UTC") == QuietHours(dt.time(21), dt.time(8, 30), "UTC")
