"""Counters that all processes share, in Redis: added to and read in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smsapp.store.queue import connection

PREFIX = "smsapp:quota:"


class Added(NamedTuple):
    """A counter, what is added to it, and the seconds after which it may be forgotten."""

    name: str
    n: int
    seconds: int


def add(counters: Sequence[Added]) -> list[int]:
    """Add to counters; return what they stand at. Raises queue.Away."""
    with connection().pipeline(transaction=False) as pipeline:
        for name, n, seconds in counters:
            pipeline.incrby(PREFIX + name, n)
            pipeline.expire(PREFIX + name, seconds)
        return [int(total) for total in pipeline.execute()[::2]]


def read(names: Sequence[str]) -> list[int]:
    """Return what counters stand at. Raises queue.Away."""
    return [int(total or 0) for total in connection().mget([PREFIX + name for name in names])]
