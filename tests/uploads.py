"""Report profiles as apps do and apply them at once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

from flask import current_app

from smsapp.services.apps import applying, uploads
from smsapp.services.apps.profile_reading import Report


def report(records: Sequence[object], appid: str, now: dt.datetime) -> Report:
    """Report these records in one request, as a web process that was just started; return what became of them."""
    current_app.extensions.pop(uploads.EXTENSION, None)
    uploads.take(json.dumps(records).encode(), appid, now)
    return applying.apply_waiting(now)
