"""A sender: a job that sends whatever run may be sent, for a minute, and enqueues its successor.

The path of a batch, each step one call in `_send_batch` or `_claim_batches` below:

    claim  -> render  -> submit  -> store

All runs take turns, so a small campaign does not wait behind a huge one. Calls of several batches are in flight at the
same time on one event loop; the database is asked on one thread beside it, and no transaction is open while a call is.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from flask import Flask
from sqlalchemy.exc import DBAPIError, OperationalError

from smsapp.channels.http import HttpClient
from smsapp.domain import log_context
from smsapp.domain.run import RunState
from smsapp.services.platform import shutdown
from smsapp.services.platform.app_thread import AppThread
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import opening, recovery, single_messages
from smsapp.services.sending.batch_executor import BatchExecutor
from smsapp.services.sending.in_flight_batch import InFlightBatch
from smsapp.services.sending.result_writer import ResultWriter
from smsapp.services.sending.run_registry import ActiveRun, Phase, RunRegistry
from smsapp.services.sending.slots import SlotContext
from smsapp.store import journal, queue
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Seconds between polls of the database: for pauses, new runs, and held runs whose hold is over."""
MIRROR_SECONDS = 1.0
PLAN_SECONDS, LINGER_SECONDS = 0.25, 1.0
"""Seconds between two looks for single messages, in which more of them gather; after the last of which a sender goes
on to look."""
QUEUE_POLL_SECONDS = 0.1
"""Seconds between polls of the queue: if every worker is sending, a sender takes a new run up itself."""


class Sender:
    """See the module. `run` returns when its time is over or nothing is left."""

    def __init__(self, app: Flask, clock: Clock, held_channels: Callable[[], Collection[int]] | None = None) -> None:
        """`held_channels` returns the channels whose connections this process holds; None: skip all such channels."""
        self.clock = clock
        self.held_channels = held_channels
        self.claim_id = secrets.token_hex(8)
        self.database = AppThread(app, "sender-database")
        self.freezer = AppThread(app, "sender-freezer")
        self.redis = AppThread(app, "sender-redis")
        self.journal = AppThread(app, "sender-journal")
        self.slot_context = SlotContext(self.redis.executor)
        self.registry = RunRegistry(self.claim_id, clock, held_channels, self.slot_context)
        self.writer = ResultWriter(self.database, clock)
        self.batches: set[asyncio.Task[None]] = set()
        self.freezing: asyncio.Future[bool] | None = None
        self.poll_at = 0.0
        """Loop time of the next poll of the database."""
        self.plans = False
        """Whether this sender is the one that plans single messages."""
        self.plan_at = self.linger_until = 0.0
        """Loop times: of the next look for single messages, and until which there will be another one."""
        self.wakeup = asyncio.Event()

    async def run(self, seconds: float) -> bool:
        """Send until `seconds` have passed or nothing is left; return whether something is left.

        Then the sender finishes its batches. While it does, for `seconds` at most, it still sends new runs: all other
        senders may be finishing, too.
        """
        await self.database.run(recovery.check, self.clock())
        loop = asyncio.get_running_loop()
        finish_at, end_at = loop.time() + seconds, loop.time() + 2 * seconds
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            executor = BatchExecutor(http, self.clock, self.wakeup.set)
            watching = asyncio.create_task(self._watch_queue())
            mirroring = asyncio.create_task(self._mirror_journal())
            try:
                while loop.time() < end_at and not shutdown.requested():
                    self.wakeup.clear()
                    if loop.time() >= finish_at:
                        finish_at = end_at
                        self.registry.finish()
                    if loop.time() >= self.poll_at:
                        self.poll_at = loop.time() + POLL_SECONDS
                        await self._poll()
                    if await self._claim_batches(executor):
                        continue
                    if not self.batches and self.freezing is None and not self._stays(loop.time()):
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wakeup.wait(), max(0.01, self.poll_at - loop.time()))
            finally:
                watching.cancel()
                await self._finish()
                mirroring.cancel()
                if self.plans:
                    await self.redis.run(queue.release_polling, "plan_messages")
        # Processes that believed us at work did not ring.
        missed = self.plans and await self.database.run(single_messages.has_new)
        return missed or await self.database.run(self.registry.is_anything_left)

    def _stays(self, now: float) -> bool:
        """Return whether more is expected within a moment."""
        return self.registry.resumes_soon or now < self.linger_until

    # -- the path of a batch --------------------------------------------------------------------------------------

    async def _claim_batches(self, executor: BatchExecutor) -> bool:
        """Claim batches of the run whose turn it is and begin to send them; return False if there are none."""
        limit = self.registry.batches_wanted()
        if not limit:
            return False
        sizes = self.registry.claim_sizes(asyncio.get_running_loop().time())
        batches: list[ClaimedBatch] = []
        try:
            batches = await self.database.run(self.registry.claim, 1 if sizes else limit, sizes)
        except DBAPIError:
            log.exception("claim.failed")
        if not batches:
            self.registry.note_nothing_claimed()
            return False
        run = self.registry.runs[batches[0].run_id]
        for claimed in batches:
            run.batches += 1
            run.channel.batches += 1
            task = asyncio.create_task(self._send_batch(executor, claimed, run))
            self.batches.add(task)
            task.add_done_callback(self._batch_ended)
        await asyncio.sleep(0)  # they are rendered: how many requests wait decides whether more is wanted
        return True

    async def _send_batch(self, executor: BatchExecutor, claimed: ClaimedBatch, run: ActiveRun) -> None:
        """Render a claimed batch, submit its requests, and store their results, whatever goes wrong in between."""
        log_context.RUN.set(str(claimed.run_id))
        channel = run.channel
        batch = InFlightBatch(claimed, channel.channel_id, channel.adapter, run.after_failures)
        self.writer.follow(batch)
        requests = executor.render(batch, run)
        try:
            await executor.submit(requests, batch, run)
        finally:
            run.batches -= 1
            channel.batches -= 1
            await self.writer.store(batch)
            if batch.error is not None:
                run.enter(Phase.STOPPED)
                self.registry.resumes_soon = True  # as far as is known until the next poll
                self._poll_now()

    def _batch_ended(self, task: asyncio.Task[None]) -> None:
        self.batches.discard(task)
        self.wakeup.set()

    async def _finish(self) -> None:
        """Wait for all calls in flight and store their results, also after an error."""
        while self.batches:
            await asyncio.wait(self.batches, timeout=POLL_SECONDS)
            try:
                await self._poll(freeze=False)
            except Exception:
                log.exception("sender.poll")
        if self.freezing is not None:
            await asyncio.wait([self.freezing])
        if self.slot_context.rate_tasks:  # they report the last answered messages to the rate limiter
            await asyncio.wait(self.slot_context.rate_tasks)

    # -- what has changed outside ---------------------------------------------------------------------------------

    async def _poll(self, *, freeze: bool = True) -> None:
        """Bring the registry in line with the database, and freeze new audiences beside it: that may take long."""
        if self.freezing is not None and self.freezing.done():
            self.freezing = None
        await self.writer.store_early()
        open_runs = await self.database.run(self.registry.refresh)
        if not freeze or self.freezing is not None or shutdown.requested():
            return
        plans = await self._may_plan()
        if open_runs or plans:
            self.freezing = self.freezer.run(self._freeze, open_runs, plans)
            self.freezing.add_done_callback(self._frozen)

    async def _may_plan(self) -> bool:
        """Return whether this sender is to plan single messages now. One does; who holds connections leaves it."""
        now = asyncio.get_running_loop().time()
        if self.held_channels is not None or now < self.plan_at:
            return False
        self.plan_at = now + PLAN_SECONDS
        if not await self.database.run(single_messages.has_work, self.clock()):
            return False
        self.plans = await self.redis.run(partial(queue.claim_polling, "plan_messages", again=self.plans))
        return self.plans

    def _poll_now(self) -> None:
        self.poll_at = 0.0
        self.wakeup.set()

    async def _watch_queue(self) -> None:
        """Poll at once when a job waits in the queue; one of the ordinary senders does, and each holder's."""
        listener = "senders" if self.held_channels is None else self.claim_id
        while True:
            await asyncio.sleep(QUEUE_POLL_SECONDS)
            # A sender that is freezing leaves new jobs to the others.
            if self.freezing is None and await self.redis.run(queue.queue_grew, listener, queue.SEND):
                self._poll_now()

    async def _mirror_journal(self) -> None:
        """Have disk and Redis know once a second what was claimed."""
        mirrored = 0
        while True:
            await asyncio.sleep(MIRROR_SECONDS)
            if journal.newest() > mirrored:
                mirrored = journal.newest()
                await self.journal.run(recovery.mirror)

    def _freeze(self, run_ids: Sequence[int], plans: bool) -> bool:
        """Freeze those of these runs that no other sender freezes; return whether there are new batches to claim.

        `plans`: single messages are planned first, for somebody waits for each of them.
        """
        opened = plans and self._plan()
        for run_id in run_ids:
            log_context.RUN.set(str(run_id))
            try:
                opened = opening.open_run(run_id, self.clock()) or opened
            except OperationalError as error:  # another sender was quicker, or the database is down: the poll retries
                log.warning("freeze.again run=%s error=%s", run_id, type(error.orig).__name__)
            except Exception:
                log.exception("freeze.fault run=%s", run_id)
                opening.hold_for_fault(run_id, RunState.OPEN, self.clock())
        return opened

    def _plan(self) -> bool:
        """Plan single messages; return whether there are new batches or runs. What fails does not hold up campaigns."""
        try:
            is_changed = single_messages.plan(self.clock())
        except OperationalError as error:
            log.warning("messages.again error=%s", type(error.orig).__name__)
            return False
        except Exception:
            log.exception("messages.fault")
            return False
        if is_changed:
            self.linger_until = time.monotonic() + LINGER_SECONDS
        return is_changed

    def _frozen(self, freezing: asyncio.Future[bool]) -> None:
        if not freezing.cancelled() and freezing.exception() is None and freezing.result():
            self._poll_now()


def send(app: Flask, clock: Clock) -> None:
    """Run one sender; enqueue the next one if something is left."""
    if asyncio.run(_send(app, clock)):
        queue.enqueue(queue.SEND, "send", 0)


async def _send(app: Flask, clock: Clock) -> bool:
    return await Sender(app, clock).run(settings().SENDER_SECONDS)
