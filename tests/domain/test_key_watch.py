"""What is unusual about an hour of an AppKey."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain import key_watch
from smsapp.domain.key_watch import AlarmKind, Hour, Measure, TextSign

NOW = dt.datetime(2026, 3, 2, 2, tzinfo=dt.UTC)


def hour(ago: int = 0, /, **counts: dict[str, int]) -> Hour:
    return Hour(NOW - dt.timedelta(hours=ago), {Measure(name): named for name, named in counts.items()})


def kinds(present: Hour, *past: Hour, blocks: dict[str, int] | None = None) -> list[AlarmKind]:
    return [alarm.kind for alarm in key_watch.alarms(present, past, "+86", blocks or {})]


@pytest.mark.parametrize(
    ("name", "signs"),
    [
        ("陈涛", set()),
        ("Anne-Marie O'Neil", set()),
        ("J. Smith", set()),
        ("用户12345", set()),
        ("立即登录 http://bad.example/x", {TextSign.LINK}),
        ("加我 1 3 8 0 0 1 3", {TextSign.DIGITS}),
        ("138-0013-8000", {TextSign.DIGITS}),
        ("【银行】提醒", {TextSign.BRACKET}),
        ("很" * 41, {TextSign.LONG}),
    ],
)
def test_names_that_are_no_names_have_signs(name: str, signs: set[TextSign]) -> None:
    assert key_watch.text_signs(["王芳", name]) == dict.fromkeys(signs, 1)


def test_growth_is_measured_by_the_keys_own_busiest_hour() -> None:
    assert kinds(hour(created={"": 900})) == [AlarmKind.GROWTH]
    assert kinds(hour(created={"": 900}), hour(5, created={"": 400}), hour(9, created={"": 20})) == []
    assert kinds(hour(created={"": 1300}), hour(5, created={"": 400})) == [AlarmKind.GROWTH]
    assert kinds(hour(created={"": 300})) == []


def test_a_country_is_unusual_if_the_key_brought_none_of_its_numbers() -> None:
    assert kinds(hour(country={"+86": 400, "+44": 30})) == [AlarmKind.COUNTRY]
    assert kinds(hour(country={"+86": 400, "+44": 30}), hour(30, country={"+44": 1})) == []
    assert kinds(hour(country={"+86": 400, "+44": 3})) == []


def test_many_numbers_in_one_block_and_odd_names_are_told() -> None:
    assert kinds(hour(), blocks={"+861380013": 80, "+861380014": 3}) == [AlarmKind.BLOCK]
    assert kinds(hour(text={"link": 5})) == [AlarmKind.TEXT]
    assert kinds(hour(text={"digits": 50}), hour(3, text={"digits": 20})) == []
