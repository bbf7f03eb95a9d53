"""Frequency caps are saved for the whole product, and who is written to follows them."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.services.contacts import audience, frequency_caps
from smsapp.services.contacts.frequency_caps import FrequencyCaps
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.exclusion import Cap
from smsapp.store.db import db
from smsapp.store.users import AuditEntry

BY = Actor("ada", None)


def save(now: dt.datetime, enabled: bool, per_day: int | None, per_week: int | None) -> None:
    frequency_caps.save_frequency_caps(FrequencyCaps(enabled, per_day, per_week), BY, now)


def lines() -> list[tuple[str, str, str, dict[str, object]]]:
    entries = db.session.query(AuditEntry).order_by(AuditEntry.id)
    return [(line.by, line.noun, line.noun_id, line.facts) for line in entries]


def in_force(now: dt.datetime) -> list[Cap]:
    db.session.expire_all()
    return audience.caps(now)


def test_before_anybody_saves_the_caps_are_off_and_the_usual_ones_are_suggested(app: Flask, now: dt.datetime) -> None:
    assert frequency_caps.frequency_caps() == FrequencyCaps(enabled=False, per_day=1, per_week=3)
    assert in_force(now) == []


def test_saved_caps_decide_who_is_written_to_until_they_are_switched_off(app: Flask, now: dt.datetime) -> None:
    # when an administrator switches them on, at 10:00 in Shanghai
    save(now, True, 2, 5)
    # then they count from midnight there, of today and of six days before
    midnight = dt.datetime(2026, 3, 1, 16, 0, tzinfo=dt.UTC)
    assert frequency_caps.frequency_caps() == FrequencyCaps(True, 2, 5)
    assert in_force(now) == [Cap(midnight, 2), Cap(midnight - dt.timedelta(days=6), 5)]
    # and switched off, the numbers are remembered and none counts
    save(now, False, 2, 5)
    assert frequency_caps.frequency_caps() == FrequencyCaps(False, 2, 5)
    assert in_force(now) == []


def test_one_of_the_two_caps_is_enough(app: Flask, now: dt.datetime) -> None:
    save(now, True, None, 50)
    assert frequency_caps.frequency_caps() == FrequencyCaps(True, None, 50)
    assert [cap.most for cap in in_force(now)] == [50]


def test_every_change_is_in_the_audit_log_and_saving_the_same_is_none(app: Flask, now: dt.datetime) -> None:
    save(now, True, 1, 3)
    save(now, True, 1, 3)
    save(now, False, 1, None)
    assert lines() == [
        ("ada", "preference", audience.CAPS, {"enabled": True, "per_day": 1, "per_week": 3}),
        ("ada", "preference", audience.CAPS, {"enabled": False, "per_day": 1}),
    ]


@pytest.mark.parametrize(
    ("enabled", "per_day", "per_week", "wrong"),
    [
        (True, 0, 3, [("cap_per_day", "per_day")]),
        (True, 21, None, [("cap_per_day", "per_day")]),
        (False, -1, 51, [("cap_per_day", "per_day"), ("cap_per_week", "per_week")]),
        (True, None, 0, [("cap_per_week", "per_week")]),
        (True, 3, 2, [("cap_week_below_day", "per_week")]),
        (True, None, None, [("cap_missing", "per_day")]),
    ],
)
def test_caps_that_make_no_sense_are_refused_and_nothing_changes(
    app: Flask,
    now: dt.datetime,
    enabled: bool,
    per_day: int | None,
    per_week: int | None,
    wrong: list[tuple[str, str]],
) -> None:
    save(now, True, 1, 3)
    with pytest.raises(Refusal) as refused:
        save(now, enabled, per_day, per_week)
    assert [(problem.code, problem.place) for problem in refused.value.problems] == wrong
    assert frequency_caps.frequency_caps() == FrequencyCaps(True, 1, 3)
    assert len(lines()) == 1


@pytest.mark.parametrize(("per_day", "per_week"), [(1, 1), (20, 20), (20, 50), (None, None)])
def test_the_outermost_caps_can_be_saved(
    app: Flask, now: dt.datetime, per_day: int | None, per_week: int | None
) -> None:
    save(now, per_day is not None, per_day, per_week)
    assert frequency_caps.frequency_caps() == FrequencyCaps(per_day is not None, per_day, per_week)
