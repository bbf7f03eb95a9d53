"""Stores the results of a sender's batches: of each batch once it is over, and of long ones every second before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from smsapp.services.platform.app_thread import AppThread
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import batch_results
from smsapp.services.sending.in_flight_batch import InFlightBatch

log = logging.getLogger(__name__)

STORE_EVERY = 1.0
"""Seconds after which results of an unfinished batch are stored: receipts of its messages may be here."""
STORE_TRIES = 5
"""How often storing is tried: a deadlock or a database that is down for a moment may not lose results."""


class ResultWriter:
    """Stores on the sender's database thread."""

    def __init__(self, database: AppThread, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.unfinished: set[InFlightBatch] = set()
        self.finished: list[InFlightBatch] = []
        self.storing = asyncio.Lock()

    def follow(self, batch: InFlightBatch) -> None:
        """Store what this batch has so far every second from now on, until it is over."""
        batch.stored_at = asyncio.get_running_loop().time()
        self.unfinished.add(batch)

    async def store(self, batch: InFlightBatch) -> None:
        """Store a batch that is over, with the others that are over by the time the database thread is free."""
        self.unfinished.discard(batch)
        self.finished.append(batch)
        async with self.storing:
            if batch in self.finished:
                batches, self.finished = self.finished, []
                await self._store(batches)

    async def store_early(self) -> None:
        """Store what unfinished batches have so far; a failure is retried at the next call."""
        now = asyncio.get_running_loop().time()
        if not any(batch.unstored and now - batch.stored_at >= STORE_EVERY for batch in self.unfinished):
            return
        async with self.storing:
            pairs = [(batch, batch.snapshot()) for batch in self.unfinished if batch.unstored]
            if not pairs:  # they are over and were stored while this waited
                return
            try:
                await self.database.run(batch_results.store_results, [part for _batch, part in pairs], self.clock())
            except Exception:
                log.exception("results.early")
                for batch, part in pairs:
                    batch.calls.give_back(part.calls)
                return
            for batch, part in pairs:
                batch.stored, batch.stored_at = len(part.results), now

    async def _store(self, batches: Sequence[InFlightBatch]) -> None:
        """Store, with retries; what is given up here becomes unconfirmed by the sweep."""
        for attempt in range(STORE_TRIES):
            try:
                await self.database.run(batch_results.store_results, batches, self.clock())
            except Exception as error:
                log.exception("results.failed batches=%s", [(batch.run_id, batch.batch.no) for batch in batches])
                if len(batches) > 1:  # one that cannot be stored may not keep the others from it
                    for batch in batches:
                        await self._store([batch])
                    return
                if not isinstance(error, DBAPIError):
                    return
                await asyncio.sleep(0.2 * 2**attempt)
            else:
                return
