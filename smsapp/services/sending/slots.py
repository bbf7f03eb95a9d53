"""The slots of a channel: the runs of a sender share them request by request; all senders share the channel's rate.

A request needs a slot and, if the channel has a rate, a grant to leave now. The run with the fewest requests in flight
is first; if several have as few, the one that was served the longest ago. So a small run beside a huge one waits for an
answer or two, not for a batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from smsapp.store.rate_limit import HEARTBEAT, LocalRateLimiter, RateLimiterDown, SharedRateLimiter, ask_again

MAY_SEND_CHECK_SECONDS = 0.1
"""Seconds within which a request that waits for the rate notices that its run may not go on."""
PAUSE = 0.002
"""Seconds between calls of the rate limiter; at high rates one call is about many requests."""
MOST_PER_CALL = 100
"""The most requests of one call of the rate limiter."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A request that waits for a slot; the result of `slot` is False if its run may not go on."""

    run_id: int
    messages: int
    may_send: Callable[[], bool]
    slot: asyncio.Future[bool]


@dataclass(frozen=True)
class SlotContext:
    """What the rate-limited queues of one sender share: the thread that calls Redis, and the tasks of their loops."""

    redis_executor: Executor
    rate_tasks: set[asyncio.Task[None]] = field(default_factory=set)


class SlotQueue:
    """The slots of a channel without a rate."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.in_flight: Counter[int] = Counter()
        """Run -> its requests in flight."""
        self.waiting: dict[int, deque[Waiter]] = {}
        self.served_at: Counter[int] = Counter()
        """Run -> the count of served requests at which it was served last."""
        self.served = 0

    async def acquire(self, run_id: int, messages: int, may_send: Callable[[], bool], *, again: bool = False) -> bool:
        """Wait for a slot; return False, without a slot, if `may_send` says that the run may not go on.

        `again`: the caller had a slot already; it goes before those of its run that had none.
        """
        waiter = Waiter(run_id, messages, may_send, asyncio.get_running_loop().create_future())
        queue = self.waiting.setdefault(run_id, deque())
        (queue.appendleft if again else queue.append)(waiter)
        self._serve()
        try:
            return await waiter.slot
        except asyncio.CancelledError:
            if not waiter.slot.cancelled() and waiter.slot.result():
                self.release(run_id, messages)
            else:
                self._remove(waiter)
                self._serve()
            raise

    def must_be_shared(self, run_id: int) -> bool:
        """Return whether another run waits, so that this run has to release its slot after each request."""
        return len(self.waiting) > (run_id in self.waiting)

    def release(self, run_id: int, messages: int) -> None:
        """Give the slot of a request of so many messages back."""
        self.free += 1
        self.in_flight[run_id] -= 1
        self._serve()

    def _serve(self) -> None:
        """Give the free slots to the requests that are next."""
        for waiter in self._next_waiters(self.free):
            if not waiter.slot.done():
                self._give_slot(waiter)

    def _give_slot(self, waiter: Waiter) -> None:
        self._remove(waiter)
        self.free -= 1
        self.served += 1
        self.in_flight[waiter.run_id] += 1
        self.served_at[waiter.run_id] = self.served
        waiter.slot.set_result(True)

    def _remove(self, waiter: Waiter) -> None:
        queue = self.waiting.get(waiter.run_id, deque())
        if waiter in queue:
            queue.remove(waiter)
        if not queue:
            self.waiting.pop(waiter.run_id, None)

    def _next_waiters(self, limit: int) -> list[Waiter]:
        """Return the requests that are next, in order."""
        if len(self.waiting) == 1:
            return [waiter for queue in self.waiting.values() for waiter in islice(queue, limit)]
        waiters: list[Waiter] = []
        queues = {run_id: iter(queue) for run_id, queue in self.waiting.items()}
        in_flight, served_at = self.in_flight.copy(), self.served_at.copy()
        while queues and len(waiters) < limit:
            run_id = min(queues, key=lambda run_id: (in_flight[run_id], served_at[run_id]))
            waiter = next(queues[run_id], None)
            if waiter is None:
                del queues[run_id]
                continue
            waiters.append(waiter)
            in_flight[run_id] += 1
            served_at[run_id] = self.served + len(waiters)
        return waiters


class RateLimitedSlotQueue(SlotQueue):
    """The slots of a channel with a rate: one task asks the rate limiter for all requests and reports the answers."""

    def __init__(self, slots: int, limiter: SharedRateLimiter, share: float, context: SlotContext) -> None:
        """`share`: messages a second while Redis is down."""
        super().__init__(slots)
        self.limiter, self.share, self.context = limiter, share, context
        self.unanswered = self.answered = 0
        """Messages in flight, and those answered since the last call of the rate limiter."""
        self.local_limiter: LocalRateLimiter | None = None
        """Takes the place of the shared one while Redis does not answer."""
        self.retry_redis_at = 0.0
        self.wakeup = asyncio.Event()
        self.rate_task: asyncio.Task[None] | None = None

    def set_rate(self, rate: float, share: float) -> None:
        """Use this rate from now on."""
        self.limiter.rate, self.share = rate, share

    def must_be_shared(self, run_id: int) -> bool:
        """Return True: each request needs a grant."""
        return True

    def release(self, run_id: int, messages: int) -> None:
        """Give a slot back; its messages count towards the rate for another second."""
        self.unanswered -= messages
        self.answered += messages
        super().release(run_id, messages)

    def _serve(self) -> None:
        self.wakeup.set()
        if self.rate_task is None or self.rate_task.done():
            self.rate_task = asyncio.create_task(self._run_rate_loop())
            self.context.rate_tasks.add(self.rate_task)
            self.rate_task.add_done_callback(self.context.rate_tasks.discard)

    async def _run_rate_loop(self) -> None:
        """Call the rate limiter when it is time to, until nothing waits, is in flight or has to be reported."""
        loop = asyncio.get_running_loop()
        called_at = granted_at = 0.0
        while True:
            self.wakeup.clear()
            self._dismiss_stopped()
            if not (self.waiting or self.unanswered or self.answered):
                return
            deadline = self._next_call(loop.time(), called_at, granted_at)
            if self.answered or loop.time() >= deadline:
                called_at = loop.time()
                granted_at = await self._request_grants() + loop.time()
                await asyncio.sleep(PAUSE)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.wakeup.wait(), deadline - loop.time())

    def _next_call(self, now: float, called_at: float, granted_at: float) -> float:
        """Return when to call the rate limiter next, in loop time: for the heartbeat, or for those that wait."""
        heartbeat_at = called_at + HEARTBEAT
        if not self.waiting:
            return heartbeat_at
        return min(heartbeat_at, now + MAY_SEND_CHECK_SECONDS, granted_at if self.free else heartbeat_at)

    def _dismiss_stopped(self) -> None:
        """End the waiting of requests whose run may not go on."""
        for run_id, queue in list(self.waiting.items()):
            if not queue[0].may_send():
                del self.waiting[run_id]
                for waiter in queue:
                    if not waiter.slot.done():
                        waiter.slot.set_result(False)

    async def _request_grants(self) -> float:
        """Ask for grants for the next requests and serve the granted ones; return the seconds until the next call."""
        loop = asyncio.get_running_loop()
        waiters = self._next_waiters(min(self.free, MOST_PER_CALL))
        sizes = [waiter.messages for waiter in waiters]
        unanswered, answered, self.answered = self.unanswered, self.answered, 0
        if loop.time() >= self.retry_redis_at:
            recent = answered + (self.local_limiter.latest(loop.time()) if self.local_limiter else 0)
            call = loop.run_in_executor(self.context.redis_executor, self.limiter.ask, unanswered, recent, sizes)
            try:
                granted, wait = await call
                self.local_limiter = None
            except RateLimiterDown as error:
                self.retry_redis_at = loop.time() + ask_again(error)
                self.local_limiter = self.local_limiter or LocalRateLimiter(self.share, loop.time())
        if self.local_limiter is not None:
            granted, wait = self.local_limiter.ask(unanswered, answered, sizes, loop.time())
        for waiter in waiters[:granted]:
            if waiter.slot.done():  # cancelled meanwhile: it will not release a slot
                self.answered += waiter.messages
            else:
                self.unanswered += waiter.messages
                self._give_slot(waiter)
        return wait
