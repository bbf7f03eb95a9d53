"""Nonces of signed uploads that were used, in Redis, for all processes."""

from __future__ import annotations

import datetime as dt

from smsapp.store.queue import connection

PREFIX = "smsapp:nonce:"


def use(name: str, lifetime: dt.timedelta) -> bool:
    """Use a nonce up; False if it was used within `lifetime`. Raises queue.QueueDown."""
    return bool(connection().set(PREFIX + name, 1, nx=True, ex=lifetime))
