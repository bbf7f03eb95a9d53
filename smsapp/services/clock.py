"""The present moment, for the doors; everything below takes `now` as an argument."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Return the present moment, aware, in UTC."""
    return dt.datetime.now(dt.UTC)
