"""One page of a long list: its rows, and the key of its last row, behind which the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Cursor = TypeVar("Cursor")


@dataclass(frozen=True)
class KeysetPage(Generic[Item, Cursor]):
    """One page of a list in the order of a key."""

    rows: Sequence[Item]
    next: Cursor | None = None
    """The key of the last row, behind which the next page begins; None on the last page."""


def cut(rows: Sequence[Item], size: int, key: Callable[[Item], Cursor]) -> KeysetPage[Item, Cursor]:
    """Return the page of the first `size` rows; of a list that goes on there is at least one row more."""
    return KeysetPage(rows[:size], key(rows[size - 1]) if len(rows) > size else None)
