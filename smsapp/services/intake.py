"""Callbacks are kept before they are acknowledged: those that come at the same moment together, in one transaction.

A transaction and a ring for each were most of what a callback cost the web server.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app

from smsapp.channels.base import Callback
from smsapp.store import inbox, queue

EXTENSION = "smsapp.intake"


@dataclass(eq=False)
class Brought:
    """What one thread has brought, and what became of it."""

    rows: list[dict[str, Any]]
    is_taken: bool = False
    """Somebody is keeping it, or has tried."""
    is_kept: bool = False
    fault: Exception | None = None


class Intake:
    """Where the threads of a process meet: whoever comes in keeps what all have brought that wait at the door."""

    def __init__(self) -> None:
        self.inside = threading.Lock()
        self.waiting: deque[Brought] = deque()

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Keep these callbacks and ask for them to be read; raises what the database did if they are not kept."""
        mine = Brought(rows)
        self.waiting.append(mine)
        with self.inside:
            if not mine.is_taken:
                self._keep(self._all_waiting())
        if not mine.is_kept:
            raise mine.fault or RuntimeError("whoever was to keep it was cut off")

    def _all_waiting(self) -> list[Brought]:
        some = [self.waiting.popleft() for _ in range(len(self.waiting))]
        for one in some:
            one.is_taken = True
        return some

    def _keep(self, some: Sequence[Brought]) -> None:
        try:
            _add([row for one in some for row in one.rows])
        except Exception as fault:
            if len(some) == 1:
                some[0].fault = fault
            else:  # one that cannot be kept must not take the others with it
                for one in some:
                    self._keep([one])
        else:
            for one in some:
                one.is_kept = True
            queue.ring_once(queue.NEWS, "keep_reading")


def store(channel_id: int, said: Sequence[Callback], now: dt.datetime) -> None:
    """Keep callbacks as they came and ask for them to be read; once this returns they may be acknowledged."""
    intake: Intake = current_app.extensions.setdefault(EXTENSION, Intake())
    intake.keep(_rows(channel_id, said, now))


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
    with inbox.writing() as current:
        inbox.add(current, rows)
