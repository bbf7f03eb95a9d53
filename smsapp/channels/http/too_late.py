"""Keeps requests from leaving after the time until which their texts are worth sending.

The sender checks the time before each call; here it is checked again just before bytes leave, because an adapter may
wait for a connection or a window in between, or make one call of a request after another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextvars import ContextVar

from smsapp.channels.errors import NotSent
from smsapp.domain.outcome import Outcome

_limit: ContextVar[tuple[dt.datetime, Callable[[], dt.datetime]] | None] = ContextVar("not_after", default=None)


def not_after(moment: dt.datetime, clock: Callable[[], dt.datetime]) -> None:
    """Let nothing leave in this task from `moment` on."""
    _limit.set((moment, clock))


def check() -> None:
    """Raise NotSent if it is too late for this task's requests."""
    limit = _limit.get()
    if limit is not None and limit[1]() >= limit[0]:
        raise NotSent("too_late", outcome=Outcome.EXPIRED)
