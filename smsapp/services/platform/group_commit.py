"""Group commit: what several threads of a process store at the same moment shares one transaction.

A transaction is the largest cost of a callback, or a reported event, in the web server.
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
    """The items of one thread, and whether they are stored."""

    items: Sequence[Item]
    is_taken: bool = False
    """A thread is storing them, or has tried."""
    is_stored: bool = False
    fault: Exception | None = None


class GroupCommit(Generic[Item]):
    """Shared by the threads of a process: the thread that gets the lock stores the items of all that wait."""

    def __init__(self, store: Callable[[list[Item]], None], stored: Callable[[], object]) -> None:
        """`store` stores items in one transaction; `stored` is called after each that was committed."""
        self.inside = threading.Lock()
        self.waiting: deque[Pending[Item]] = deque()
        self._store_items, self._stored = store, stored

    def store(self, items: Sequence[Item]) -> None:
        """Store these items; raises the database's error if they are not stored."""
        pending = Pending(items)
        self.waiting.append(pending)
        with self.inside:
            if not pending.is_taken:
                self._store(self._all_waiting())
        if not pending.is_stored:
            raise pending.fault or RuntimeError("whoever was to keep it was cut off")

    def _all_waiting(self) -> list[Pending[Item]]:
        waiting = [self.waiting.popleft() for _ in range(len(self.waiting))]
        for pending in waiting:
            pending.is_taken = True
        return waiting

    def _store(self, batch: Sequence[Pending[Item]]) -> None:
        try:
            self._store_items([item for pending in batch for item in pending.items])
        except Exception as fault:
            if len(batch) == 1:
                batch[0].fault = fault
            else:  # items that cannot be stored must not lose the others
                for pending in batch:
                    self._store([pending])
        else:
            for pending in batch:
                pending.is_stored = True
            self._stored()
