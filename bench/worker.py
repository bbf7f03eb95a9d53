"""The product's worker.py with a stopwatch, and with the kinds of channels that only measurements need.

Each sender appends one line of JSON to the file BENCH_TIMES when it ends: wall and processor seconds of each step, the
processor time of its event loop, and the most memory its process has held.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import smsapp.channels
import worker
from smsapp.services.sending import batch_results, opening, rendering, run_registry, sender

smsapp.channels.__path__.append(str(Path(__file__).parent / "kinds"))

WALL: defaultdict[str, float] = defaultdict(float)
CPU: defaultdict[str, float] = defaultdict(float)


def timed(owner: Any, name: str, step: str) -> None:
    """Count the seconds spent in this function."""
    inner: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return inner(*args, **kwargs)
        finally:
            WALL[step] += time.perf_counter() - wall
            CPU[step] += time.thread_time() - cpu

    setattr(owner, name, outer)


def noted(send: Callable[..., None]) -> Callable[..., None]:
    """Record what a sender took when it ends."""

    @functools.wraps(send)
    def outer(*args: Any) -> None:
        begun, cpu = time.time(), time.thread_time()
        try:
            send(*args)
        finally:
            record = {
                "pid": os.getpid(),
                "begun": begun,
                "ended": time.time(),
                "wall": dict(WALL),
                "cpu": {**CPU, "loop": time.thread_time() - cpu},
                "process": time.process_time(),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            with Path(os.environ["BENCH_TIMES"]).open("a") as file:
                file.write(json.dumps(record) + "\n")

    return outer


if __name__ == "__main__":
    timed(opening, "open_run", "freeze")
    timed(run_registry.RunRegistry, "claim", "claim")
    timed(rendering, "cut", "render")
    timed(batch_results, "store_results", "write")
    sender.send = noted(sender.send)
    sys.exit(worker.main())
