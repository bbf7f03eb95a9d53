"""Hourly tallies of what AppKeys bring, and the alarms of unusual hours."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.domain.key_watch import AlarmKind, Measure
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, key_record, key_undo, key_watch
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.apps.key_journal import KeyJournal
from smsapp.store.apps.key_tallies import KeyTally
from smsapp.store.db import current_session
from smsapp.store.settings import settings
from tests import builders
from tests.uploads import report

BY = Actor("test")
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def browser(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("商城网站", KeyKind.BROWSER, BY, now - 10 * DAY)


@pytest.fixture
def server(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("会员系统", KeyKind.SERVER, BY, now - 10 * DAY)


def record(key: AppKey, xwho: str, what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {"appid": key.key, "xwho": xwho, "xwhat": what, "xcontext": {"$is_login": True, **context}}


def tallies(key: AppKey, now: dt.datetime) -> dict[Measure, dict[str, int]]:
    """What the key's latest hour counts."""
    return dict(key_watch.hours(key.id, now)[0].counts)


def people(key: AppKey, numbers: range, name: str = "陈涛", code: str = "+86138") -> list[dict[str, Any]]:
    return [record(key, f"p{code}{n}", **{"$name": name, "$phone": f"{code}{n:08d}"}) for n in numbers]


def test_what_a_public_key_did_is_counted(browser: AppKey, server: AppKey, now: dt.datetime) -> None:
    report([record(server, "QH1", city="杭州")], "", now)
    report(
        [
            *people(browser, range(3)),
            record(browser, "QH1", city="上海"),
            record(browser, "QH1", level="gold"),
            record(browser, "QH1", "$profile_delete"),
            record(browser, "x" * 300),
        ],
        "",
        now,
    )
    assert tallies(browser, now) == {
        Measure.CREATED: {"": 3},
        Measure.CHANGED: {"level": 1},
        Measure.PROPOSED: {"city": 1},
        Measure.REFUSED: {"public_key": 1, "bad_id": 1},
        Measure.COUNTRY: {"+86": 3},
        Measure.PREFIX: {"+86138": 3},
    }
    assert tallies(server, now) == {Measure.CREATED: {"": 1}}


def test_both_ways_of_applying_count_the_same(server: AppKey, now: dt.datetime) -> None:
    builders.known_property("$name")
    builders.known_property("$phone")
    for later, names in ((0 * HOUR, ("陈涛", "http://bad.example/x")), (HOUR, ("陈涛", "王芳")), (2 * HOUR, ("李雷",))):
        usual = [record(server, f"u{n}", **{"$name": name, "$phone": f"1380013800{n}"}) for n, name in enumerate(names)]
        # SET_ONCE, and whatever stands beside it for the same person, goes the long way.
        long = [one | {"xwho": f"l{n}"} for n, one in enumerate(usual)]
        long += [record(server, f"l{n}", "$profile_set_once") for n in range(len(names))]
        report(usual, "", now + later)
        before = tallies(server, now + later)
        report(long, "", now + later)
        after = tallies(server, now + later)
        assert after == {measure: {name: 2 * n for name, n in counts.items()} for measure, counts in before.items()}
    assert before == {Measure.CHANGED: {"$name": 1}}


def test_an_hour_counts_only_so_many_prefixes_by_name(
    browser: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_record, "MOST_PREFIXES", 2)
    for code in ("+86138", "+86139", "+86136", "+86135", "+86138"):
        report(people(browser, range(3), code=code), "", now)
    assert sum(tallies(browser, now)[Measure.PREFIX].values()) == 12
    assert set(tallies(browser, now)[Measure.PREFIX]) == {"+86138", "+86139", ""}


def test_unusual_hours_raise_alarms_once_until_somebody_takes_note(browser: AppKey, now: dt.datetime) -> None:
    report(people(browser, range(3)), "", now - DAY)
    assert key_watch.look(now - DAY) == 0
    report(people(browser, range(60, 130), name="加我 http://bad.example/x", code="+4474"), "", now)
    assert key_watch.look(now) == 3
    assert key_watch.look(now + dt.timedelta(minutes=1)) == 0
    alarms = key_watch.alarms(browser.id)
    assert {alarm.kind for alarm in alarms} == {AlarmKind.COUNTRY, AlarmKind.BLOCK, AlarmKind.TEXT}
    assert app_keys.key(browser.id).active
    assert key_watch.note(browser.id, max(alarm.id for alarm in alarms), BY, now) == 3
    assert key_watch.unnoted() == []
    assert key_watch.look(now) == 0


def test_an_alarm_disables_a_key_that_is_set_so(browser: AppKey, now: dt.datetime) -> None:
    key_watch.set_pausing(browser.id, True, BY, now)
    report(people(browser, range(30), code="+4474"), "", now)
    assert key_watch.look(now) == 1
    current_session().expire_all()
    assert not app_keys.key(browser.id).active
    assert key_watch.alarms(browser.id)[0].disabled


def test_what_is_old_or_too_much_is_forgotten_and_an_undo_knows(
    server: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    report([record(server, "A", city="1")], "", now - 40 * DAY)
    report([record(server, "A", city="2")], "", now - 8 * DAY)
    report([record(server, "A", city="3")], "", now - 2 * DAY)
    key_watch.forget_old(now)
    assert current_session().query(KeyTally.hour).filter(KeyTally.hour < now - 31 * DAY).all() == []
    assert current_session().query(KeyJournal).count() == 1
    monkeypatch.setattr(key_watch, "settings", lambda: type("S", (), {"UP_UNDO_MB": 0}))
    key_watch.forget_old(now)
    assert current_session().query(KeyJournal).count() == 0
    with pytest.raises(Refusal):
        key_undo.count(server.id, now - 3 * DAY, BY, now)
    key_undo.count(server.id, now - DAY, BY, now)
    assert settings().UP_UNDO_MB > 0
