"""Records that no database can store: refused, and nobody else's records with them."""

from __future__ import annotations

import datetime as dt
import json

from flask import Flask

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying, uploads
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders


def test_a_text_that_cannot_be_stored_costs_nobody_elses_records(app: Flask, now: dt.datetime) -> None:
    key = app_keys.create("shop", KeyKind.SERVER, Actor("test"), now).key
    for name in ("points", "visits"):
        builders.known_property(name, "number")
    records = [
        {"appid": key, "xwho": "before", "xwhat": "$profile_set", "xcontext": {"mark": "a"}},
        {"appid": key, "xwho": "odd", "xwhat": "$profile_set", "xcontext": {"points": "\x00", "visits": "\x00"}},
        {"appid": key, "xwho": "after", "xwhat": "$profile_set", "xcontext": {"mark": "b"}},
    ]
    uploads.take(json.dumps(records).encode(), key, now)
    applying.apply_waiting(now)
    there = {row.xwho for row in current_session().query(Contact)}
    assert {"before", "after"} <= there
