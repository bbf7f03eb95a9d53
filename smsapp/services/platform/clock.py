"""The present moment, for web, jobs and commands; everything below takes `now` as an argument."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from smsapp.store.settings import settings

Clock = Callable[[], dt.datetime]
"""Returns the present moment; what goes on for a while is given one instead of a moment."""


def now() -> dt.datetime:
    """Return the present moment, aware, in UTC."""
    return dt.datetime.now(dt.UTC) + _ahead()


def on_the_wall(moment: dt.datetime) -> dt.datetime:
    """Return what the machine's clock, which rq-scheduler uses, shows at this moment of our clock."""
    return moment - _ahead()


def _ahead() -> dt.timedelta:
    """Return how far our clock is ahead of the machine's: zero unless TEST_CLOCK is set."""
    shifted = settings().TEST_CLOCK
    return dt.timedelta(seconds=float(Path(shifted).read_text())) if shifted else dt.timedelta()
