"""The processes of a `flask serve`, by their titles."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = {"valkey-server": 1, "gunicorn: master": 1, "worker.py schedule": 1, "worker.py connect": 1}
"""What each title begins with, and how many such children the supervisor has, besides the workers."""


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def programs(serving: int, senders: int) -> list[int]:
    """Return the supervisor, what it runs and the processes of the web server; empty unless they are complete."""
    expected = {**PROGRAMS, "rq:worker:": senders + 1}
    for supervisor in children(serving):
        running = {child: title(child) for child in children(supervisor)}
        kinds = Counter(start for name in running.values() for start in expected if start in name)
        web = [grandchild for child, name in running.items() if "gunicorn" in name for grandchild in children(child)]
        if title(supervisor).startswith("supervisord") and kinds == expected and web:
            return [supervisor, *running, *web]
    return []


def alive(members: Iterable[int]) -> list[int]:
    """Return those that have not ended."""
    states = {}
    for member in members:
        with contextlib.suppress(OSError):
            states[member] = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()[0]
    return [member for member, state in states.items() if state != "Z"]
