"""What carriers report, and when they take marketing texts."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain.carrier import ASK_AGAIN, CHINA, OUTCOMES, national, outcome, seconds_until_open
from smsapp.domain.outcome import Outcome


@pytest.mark.parametrize("code", OUTCOMES)
def test_every_code_is_read_in_any_case(code: str) -> None:
    assert outcome(f" {code.lower()} ") is OUTCOMES[code]


def test_codes_nobody_described_are_unknown_and_faults_of_porting_are_not_the_persons() -> None:
    assert outcome("XY:4711") is Outcome.UNKNOWN
    assert outcome("") is Outcome.UNKNOWN
    assert outcome("NP:1243") is outcome("np:1") is Outcome.PROVIDER_FAULT
    assert outcome("XNP:1") is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("hour", "minute", "seconds"),
    [(23, 0, 9 * 3600), (0, 0, 8 * 3600), (7, 59, 60), (8, 0, ASK_AGAIN), (21, 59, ASK_AGAIN), (22, 0, 10 * 3600)],
)
def test_out_of_hours_means_eight_in_the_morning_chinese_time(hour: int, minute: int, seconds: float) -> None:
    now = dt.datetime(2026, 11, 22, hour, minute, tzinfo=CHINA).astimezone(dt.UTC)
    assert seconds_until_open(now) == seconds


def test_the_wait_ends_at_the_hour_itself_whatever_the_second_is() -> None:
    now = dt.datetime(2026, 11, 22, 7, 59, 30, 250_000, tzinfo=CHINA)
    assert seconds_until_open(now) == 29.75


@pytest.mark.parametrize(
    ("phone", "written"),
    [("+8613800138000", "13800138000"), ("+85291234567", "85291234567"), ("+12025550123", "12025550123")],
)
def test_a_number_is_written_as_chinese_providers_do(phone: str, written: str) -> None:
    assert national(phone) == written
