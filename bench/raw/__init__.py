"""Lower bounds: each step of a campaign in the fewest statements its driver knows, without any of the product's rules.

Every step is a function from a `Ground` (a scratch database) or from plain arguments to a `Bound`, so that a benchmark
can measure the product and its bound in one run on one machine and print the ratio. `python -m bench.raw` prints all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """How long a step took for so many rows."""

    step: str
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def per_million(self) -> float:
        """Seconds for a million rows."""
        return self.seconds / self.rows * 1_000_000 if self.rows else 0.0

    def __str__(self) -> str:
        return f"{self.step:<28} {self.rows:>10,} rows {self.seconds:>8.2f} s {self.rate:>12,.0f} rows/s"


class Watch:
    """Seconds spent inside its `running()` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - begun
