"""Nothing that can be sent to /up fails, and the sound records beside odd ones are kept."""

from __future__ import annotations

import datetime as dt
import os

from flask import Flask
from hypothesis import HealthCheck, given, settings

from smsapp.services.apps import uploads
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.db import current_session
from tests.fuzz import uploads as odd_uploads
from tests.fuzz.uploads import KEY, OddUpload, check, errors_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
"""Per database; `python -m bench.fuzz` tries as many as fit into an hour."""


def test_an_odd_upload_is_answered_and_costs_no_sound_record(app: Flask, now: dt.datetime) -> None:
    current_session().add(AppKey(key=KEY, name="Fuzz", kind="server", active=True, created_at=now))
    current_session().commit()
    app.extensions.pop(uploads.EXTENSION, None)
    client, errors = app.test_client(), errors_of(app)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(odd_uploads.uploads())
    def tried(upload: OddUpload) -> None:
        check(client, upload, errors)

    tried()
