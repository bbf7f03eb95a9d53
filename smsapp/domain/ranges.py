"""Ranges of numbers, both ends included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def joined(ranges: Iterable[Any]) -> list[tuple[int, int]]:
    """Return the ranges (lo, hi), sorted, with adjacent and overlapping ones joined."""
    result: list[tuple[int, int]] = []
    for lo, hi in sorted((lo, hi) for lo, hi in ranges):
        if result and lo <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(hi, result[-1][1]))
        else:
            result.append((lo, hi))
    return result
