"""The results of benchmarks, one row each: printed at once, and collected for docs/performance.md on request."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

COLLECTED = "BENCH_ROWS"
"""Environment variable that names the file of rows."""
BARS_MISSED = 3
"""Exit code of a benchmark that completed and missed a bar; one that fails has another."""
_missed = 0


@dataclass(frozen=True)
class Row:
    """One measurement beside its bound; `value` is compared with the bar."""

    where: str
    what: str
    ours: str
    bound: str
    value: float | None = None
    bar: str = ""
    holds: bool = True


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self.begun


def add(
    where: str,
    what: str,
    ours: str,
    bound: str = "",
    value: float | None = None,
    *,
    most: float | None = None,
    least: float | None = None,
    unit: str = "",
) -> None:
    """Print a row and collect it; `most` or `least` is its bar."""
    global _missed  # noqa: PLW0603  one count per process
    holds = value is None or ((most is None or value <= most) and (least is None or value >= least))
    bar = f"at most {most:g} {unit}" if most is not None else f"at least {least:g} {unit}" if least is not None else ""
    row = Row(where, what, ours, bound, value, bar.strip(), holds)
    _missed += not holds
    value_text = "" if value is None else f"{value:.2f}"
    print(
        f"{where:<11}{what:<38}{ours:>14}  {bound:<28}{value_text:>7}  {row.bar}{'' if holds else '  MISSED'}",
        flush=True,
    )
    if path := os.environ.get(COLLECTED):
        write(row, Path(path))


def write(row: Row, path: Path) -> None:
    """Store a row for the page."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def exit_code() -> int:
    """Return the exit code of a process that has completed."""
    return BARS_MISSED if _missed else 0
