"""The shutdown flag of this process: long jobs check it between two steps and enqueue a job for the rest."""

from __future__ import annotations

import threading

_wanted = threading.Event()


def request(on: bool = True) -> None:
    """Set what `requested()` returns from now on. Called by worker.py when a signal comes."""
    if on:
        _wanted.set()
    else:
        _wanted.clear()


def requested() -> bool:
    """Return whether a shutdown is requested: finish the present step, commit it, enqueue the next job, return."""
    return _wanted.is_set()
