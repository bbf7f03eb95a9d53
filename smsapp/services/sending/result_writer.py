"""Writes a sender's results back: of each batch once it is over, and of long ones every second before that."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from smsapp.services.sending import results
from smsapp.services.sending.results import InFlightBatch

log = logging.getLogger(__name__)

WRITE_EVERY = 1.0
"""Seconds after which the answers of an unfinished batch are written back: their receipts may have come already."""
WRITE_TRIES = 5
"""How often a write-back is tried: a deadlock or a database that is away for a moment must not lose answers."""


class AnswerWriter:
    """Writes through `at_desk`, which runs a step on the sender's database thread."""

    def __init__(self, at_desk: Callable[..., Awaitable[Any]], clock: Callable[[], dt.datetime]) -> None:
        self.at_desk, self.clock = at_desk, clock
        self.under_way: set[InFlightBatch] = set()
        self.done: list[InFlightBatch] = []
        self.writing_back = asyncio.Lock()

    def follow(self, carried: InFlightBatch) -> None:
        """Write the results of this batch back every WRITE_EVERY from now on, until it is over."""
        carried.written_at = asyncio.get_running_loop().time()
        self.under_way.add(carried)

    async def write(self, carried: InFlightBatch) -> None:
        """Write this batch back, together with all others that are over when the database thread is free."""
        self.under_way.discard(carried)
        self.done.append(carried)
        async with self.writing_back:
            if carried in self.done:
                batches, self.done = self.done, []
                await self._write_back(batches)

    async def write_early(self) -> None:
        """Write back the answers so far of batches that take long; if that fails, a later call tries again."""
        now = asyncio.get_running_loop().time()
        if not any(carried.unwritten and now - carried.written_at >= WRITE_EVERY for carried in self.under_way):
            return
        async with self.writing_back:
            early = [(carried, carried.so_far()) for carried in self.under_way if carried.unwritten]
            if not early:  # they are over, and were written while this waited
                return
            try:
                await self.at_desk(results.write_back, [so_far for _one, so_far in early], self.clock())
            except Exception:
                log.exception("write_back.early")
                for carried, so_far in early:
                    carried.calls.give_back(so_far.calls)
                return
            for carried, so_far in early:
                carried.written, carried.written_at = len(so_far.answers), now

    async def _write_back(self, batches: Sequence[InFlightBatch]) -> None:
        """Write back, and retry after database errors; batches given up here become unconfirmed by the sweep."""
        for again in range(WRITE_TRIES):
            try:
                await self.at_desk(results.write_back, batches, self.clock())
            except Exception as fault:
                log.exception(
                    "write_back.failed batches=%s", [(carried.run_id, carried.batch.no) for carried in batches]
                )
                if len(batches) > 1:  # one batch that cannot be written must not lose the others
                    for carried in batches:
                        await self._write_back([carried])
                    return
                if not isinstance(fault, DBAPIError):
                    return
                await asyncio.sleep(0.2 * 2**again)
            else:
                return
