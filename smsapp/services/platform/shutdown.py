"""Whether this process was asked to stop: long work looks here between two steps and leaves the rest to a successor."""

from __future__ import annotations

import threading

_wanted = threading.Event()


def request(wanted: bool = True) -> None:
    """From now on `is_wanted()` says so. Called by worker.py when a signal comes."""
    if wanted:
        _wanted.set()
    else:
        _wanted.clear()


def requested() -> bool:
    """Say whether to come to an end soon: finish the step in hand, commit it, ring the successor, return."""
    return _wanted.is_set()
