"""How many requests a key of the HTTP API makes in a minute, counted together by all web processes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from smsapp.store import queue
from smsapp.store.apps import quotas
from smsapp.store.apps.quotas import Added

WINDOW = 60
"""Seconds; the counter begins anew with each."""


@dataclass(frozen=True)
class Rate:
    """What is left of a key's requests in this minute."""

    limit: int
    left: int
    """Negative: this request is one too many."""
    seconds: int
    """Until the counter begins anew."""

    @property
    def is_exceeded(self) -> bool:
        return self.left < 0


def take(key_id: int, limit: int, now: dt.datetime) -> Rate:
    """Count a request. While Redis does not answer nothing is counted, and every request is let through."""
    window, passed = divmod(int(now.timestamp()), WINDOW)
    try:
        (used,) = quotas.add([Added(f"api:{key_id}:{window}", 1, 2 * WINDOW)])
    except queue.QueueDown:
        used = 1
    return Rate(limit, limit - used, WINDOW - passed)
