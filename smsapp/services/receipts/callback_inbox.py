"""Callbacks are kept before they are acknowledged: those that come at the same moment together, in one transaction."""

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
    """Return the door of a process, through which its threads bring callbacks."""
    return GroupCommit(_add, lambda: queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading"))


def store(channel_id: int, said: Sequence[Callback], now: dt.datetime) -> None:
    """Keep callbacks as they came and ask for them to be read; once this returns they may be acknowledged."""
    intake: Intake = current_app.extensions.setdefault(EXTENSION, opened())
    intake.store(_rows(channel_id, said, now))


def keep(channel_id: int, said: Sequence[Callback], now: dt.datetime) -> None:
    """Keep callbacks as they came; whoever reads next finds them."""
    _add(_rows(channel_id, said, now))


def _rows(channel_id: int, said: Sequence[Callback], now: dt.datetime) -> list[dict[str, Any]]:
    about = {"channel_id": channel_id, "received_at": now}
    return [
        about
        | {"method": one.method, "url": one.url, "query": one.query, "headers": dict(one.headers), "body": one.body}
        for one in said
    ]


def _add(rows: Sequence[dict[str, Any]]) -> None:
    with inbox.writing() as session:
        inbox.add(session, rows)
