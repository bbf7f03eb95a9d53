"""The job that applies uploads: how it waits for them, and lets them gather."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from flask import Flask

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying, uploads
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import uploads as stored_uploads

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)


def take(app: Flask, key: str, now: dt.datetime, people: int) -> None:
    records = [
        {"appid": key, "xwho": f"u{n}", "xwhat": "$profile_set", "xcontext": {"points": 1}} for n in range(people)
    ]
    assert uploads.take(json.dumps(records).encode(), "", now) is uploads.TAKEN


@pytest.mark.parametrize(("people", "gathers"), [(3, True), (applying.FEW, False)])
def test_after_a_few_records_others_gather_and_after_many_they_do_not(
    people: int, gathers: bool, app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = app_keys.create("Shop", KeyKind.SERVER, Actor("test"), now).key
    take(app, key, now, people)
    monkeypatch.setattr(applying, "QUIET", 0.0)
    pauses: list[float] = []
    applying.keep_applying(lambda: now, pauses.append)
    assert (applying.GATHER in pauses) is gathers
    assert not stored_uploads.waiting(1)
