"""What several threads of a process bring at the same moment is stored together, in one transaction.

A transaction for each was most of what a callback, or a reported event, cost the web server.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(eq=False)
class Pending(Generic[Item]):
    """What one thread has brought, and what became of it."""

    items: Sequence[Item]
    is_taken: bool = False
    """Somebody is storing it, or has tried."""
    is_stored: bool = False
    fault: Exception | None = None


class GroupCommit(Generic[Item]):
    """Where the threads of a process meet: whoever comes in stores what all have brought that wait at the door."""

    def __init__(self, store: Callable[[list[Item]], None], stored: Callable[[], object]) -> None:
        """`store` stores items in one transaction; `stored` is called after each that was committed."""
        self.inside = threading.Lock()
        self.waiting: deque[Pending[Item]] = deque()
        self._store_items, self._stored = store, stored

    def store(self, items: Sequence[Item]) -> None:
        """Store these items; raises what the database did if they are not stored."""
        mine = Pending(items)
        self.waiting.append(mine)
        with self.inside:
            if not mine.is_taken:
                self._store(self._all_waiting())
        if not mine.is_stored:
            raise mine.fault or RuntimeError("whoever was to keep it was cut off")

    def _all_waiting(self) -> list[Pending[Item]]:
        everybody = [self.waiting.popleft() for _ in range(len(self.waiting))]
        for pending in everybody:
            pending.is_taken = True
        return everybody

    def _store(self, everybody: Sequence[Pending[Item]]) -> None:
        try:
            self._store_items([item for pending in everybody for item in pending.items])
        except Exception as fault:
            if len(everybody) == 1:
                everybody[0].fault = fault
            else:  # one that cannot be stored must not take the others with it
                for pending in everybody:
                    self._store([pending])
        else:
            for pending in everybody:
                pending.is_stored = True
            self._stored()
