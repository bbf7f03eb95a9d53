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


def overlaps(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges that lie in both; each list is sorted and joined."""
    result: list[tuple[int, int]] = []
    place = 0
    for lo, hi in some:
        while place < len(others) and others[place][1] < lo:
            place += 1
        at = place
        while at < len(others) and others[at][0] <= hi:
            result.append((max(lo, others[at][0]), min(hi, others[at][1])))
            at += 1
    return result
