"""Stores callbacks before they are acknowledged, those of the same moment in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from flask import current_app

from smsapp.channels.types import Callback
from smsapp.services.platform.group_commit import GroupCommit
from smsapp.store import queue
from smsapp.store.receipts import inbox

EXTENSION = "smsapp.intake"
Intake = GroupCommit[dict[str, Any]]


def opened() -> Intake:
    """Return the group commit by which the threads of a process store callbacks."""
    return GroupCommit(_add, lambda: queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading"))


def store(channel_id: int, callbacks: Sequence[Callback], now: dt.datetime) -> None:
    """Store callbacks as they came and enqueue the reader; once this returns they may be acknowledged."""
    intake: Intake = current_app.extensions.setdefault(EXTENSION, opened())
    intake.store(_rows(channel_id, callbacks, now))


def keep(channel_id: int, callbacks: Sequence[Callback], now: dt.datetime) -> None:
    """Store callbacks as they came; the next reader finds them."""
    _add(_rows(channel_id, callbacks, now))


def _rows(channel_id: int, callbacks: Sequence[Callback], now: dt.datetime) -> list[dict[str, Any]]:
    about = {"channel_id": channel_id, "received_at": now}
    return [
        about
        | {
            "method": callback.method,
            "url": callback.url,
            "query": callback.query,
            "headers": dict(callback.headers),
            "body": callback.body,
        }
        for callback in callbacks
    ]


def _add(rows: Sequence[dict[str, Any]]) -> None:
    with inbox.writing() as session:
        inbox.add(session, rows)


def unread_count(limit: int = 1000) -> int:
    """Return how many callbacks wait to be read, counted up to `limit`."""
    return len(inbox.unread_ids(limit))
