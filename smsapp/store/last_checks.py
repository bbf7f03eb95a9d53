"""When periodic work was done last and what it found, in Redis: for monitoring only, so it may be lost."""

from __future__ import annotations

import datetime as dt
import enum
import logging

from smsapp.store.queue import QueueDown, connection

KEY = "smsapp:last-checks"
log = logging.getLogger(__name__)


class Check(enum.StrEnum):
    SWEEP = "sweep"
    LATEST = "latest"
    """The identities of the latest runs."""
    VERIFY = "verify"
    """Every number against its rows."""


def note(check: Check, now: dt.datetime, n: int = 0) -> None:
    """Note that a check was made, and the number of faults it found."""
    try:
        connection().hset(KEY, check, f"{now.timestamp()} {n}")
    except QueueDown as error:
        log.warning("check.not_noted check=%s error=%s", check, type(error).__name__)


def noted() -> dict[Check, tuple[dt.datetime, int]]:
    """Return when each check was made last and what it found. Raises QueueDown."""
    stored = {_text(name): _text(value).split() for name, value in connection().hgetall(KEY).items()}
    return {
        check: (dt.datetime.fromtimestamp(float(stored[check][0]), dt.UTC), int(stored[check][1]))
        for check in Check
        if check in stored
    }


def _text(stored: bytes | str) -> str:
    return stored.decode() if isinstance(stored, bytes) else stored
