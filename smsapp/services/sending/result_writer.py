"""Who writes a sender's answers back: of each batch once it is over, and of long ones every second before that."""

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
"""Seconds after which the answers of a batch are written back though it is under way: receipts of them may be here."""
WRITE_TRIES = 5
"""How often a write-back is tried: a deadlock or a database that is away for a moment must not lose answers."""


class AnswerWriter:
    """Writes through `at_desk`, the sender's way to its database thread."""

    def __init__(self, at_desk: Callable[..., Awaitable[Any]], clock: Callable[[], dt.datetime]) -> None:
        self.at_desk, self.clock = at_desk, clock
        self.under_way: set[InFlightBatch] = set()
        self.done: list[InFlightBatch] = []
        self.writing_back = asyncio.Lock()

    def follow(self, carried: InFlightBatch) -> None:
        """Write back what this batch has come to every second from now on, until it is over."""
        carried.written_at = asyncio.get_running_loop().time()
        self.under_way.add(carried)

    async def write(self, carried: InFlightBatch) -> None:
        """Write back, with whatever else is done by the time the desk is free."""
        self.under_way.discard(carried)
        self.done.append(carried)
        async with self.writing_back:
            if carried in self.done:
                some, self.done = self.done, []
                await self._write_back(some)

    async def write_early(self) -> None:
        """Write back what has been answered of batches that take long; what cannot be written now is tried again."""
        now = asyncio.get_running_loop().time()
        if not any(one.unwritten and now - one.written_at >= WRITE_EVERY for one in self.under_way):
            return
        async with self.writing_back:
            early = [(one, one.so_far()) for one in self.under_way if one.unwritten]
            if not early:  # they are over, and were written while this waited
                return
            try:
                await self.at_desk(results.write_back, [so_far for _one, so_far in early], self.clock())
            except Exception:
                log.exception("write_back.early")
                for one, so_far in early:
                    one.calls.give_back(so_far.calls)
                return
            for one, so_far in early:
                one.written, one.written_at = len(so_far.answers), now

    async def _write_back(self, some: Sequence[InFlightBatch]) -> None:
        """Write back, again if the database would not; what is given up here the sweep calls unconfirmed."""
        for again in range(WRITE_TRIES):
            try:
                await self.at_desk(results.write_back, some, self.clock())
            except Exception as fault:
                log.exception("write_back.failed batches=%s", [(one.run_id, one.batch.no) for one in some])
                if len(some) > 1:  # one that cannot be written must not take the others with it
                    for one in some:
                        await self._write_back([one])
                    return
                if not isinstance(fault, DBAPIError):
                    return
                await asyncio.sleep(0.2 * 2**again)
            else:
                return
