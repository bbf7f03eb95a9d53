"""The slots of a channel: the runs of a sender share them request by request; all senders share the channel's rate.

A turn is a slot and, if the channel has a rate, the grant to leave now. The run with the fewest requests in flight is
first; if several have as few, the one that was served the longest ago. So a small run beside a huge one waits for an
answer or two, not for a batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from smsapp.store.rate_limit import HEARTBEAT, LocalRateLimiter, RateLimiterDown, SharedRateLimiter, ask_again

LOOK = 0.1
"""Seconds within which a request that waits for the rate notices that its run may not go on."""
PAUSE = 0.002
"""Seconds between calls of the rate limiter; at high rates one call is about many requests."""
MOST = 100
"""The most requests of one call."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A request that waits for its turn; `turn` is False if its run may not go on."""

    run_id: int
    messages: int
    may_go: Callable[[], bool]
    turn: asyncio.Future[bool]


class SlotQueue:
    """The slots of a channel without a rate."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.out: Counter[int] = Counter()
        """Run -> its requests in flight."""
        self.waiting: dict[int, deque[Waiter]] = {}
        self.served: Counter[int] = Counter()
        """Run -> the number of the turn at which it was served last."""
        self.turn = 0

    async def take(self, run_id: int, messages: int, may_go: Callable[[], bool], *, again: bool = False) -> bool:
        """Wait for a turn; return False, without a turn, if `may_go` says that the run may not go on.

        `again`: the caller had a turn already; it goes before those of its run that had none.
        """
        asking = Waiter(run_id, messages, may_go, asyncio.get_running_loop().create_future())
        queue = self.waiting.setdefault(run_id, deque())
        (queue.appendleft if again else queue.append)(asking)
        self._serve()
        try:
            return await asking.turn
        except asyncio.CancelledError:
            if not asking.turn.cancelled() and asking.turn.result():
                self.give_back(run_id, messages)
            else:
                self._leave(asking)
                self._serve()
            raise

    def is_wanted(self, run_id: int) -> bool:
        """Return whether another run waits, so that this run has to give its turn back after each request."""
        return len(self.waiting) > (run_id in self.waiting)

    def give_back(self, run_id: int, messages: int) -> None:
        """End a turn."""
        self.free += 1
        self.out[run_id] -= 1
        self._serve()

    def _serve(self) -> None:
        """Give the free slots to the requests that are next."""
        for asking in self._in_turn(self.free):
            if not asking.turn.done():
                self._give(asking)

    def _give(self, asking: Waiter) -> None:
        self._leave(asking)
        self.free -= 1
        self.turn += 1
        self.out[asking.run_id] += 1
        self.served[asking.run_id] = self.turn
        asking.turn.set_result(True)

    def _leave(self, asking: Waiter) -> None:
        queue = self.waiting.get(asking.run_id, deque())
        if asking in queue:
            queue.remove(asking)
        if not queue:
            self.waiting.pop(asking.run_id, None)

    def _in_turn(self, most: int) -> list[Waiter]:
        """Return the requests that are next, in order."""
        if len(self.waiting) == 1:
            return [asking for queue in self.waiting.values() for asking in islice(queue, most)]
        next_up: list[Waiter] = []
        queues = {run_id: iter(queue) for run_id, queue in self.waiting.items()}
        out, served = self.out.copy(), self.served.copy()
        while queues and len(next_up) < most:
            run_id = min(queues, key=lambda run_id: (out[run_id], served[run_id]))
            asking = next(queues[run_id], None)
            if asking is None:
                del queues[run_id]
                continue
            next_up.append(asking)
            out[run_id] += 1
            served[run_id] = self.turn + len(next_up)
        return next_up


class RateLimitedSlotQueue(SlotQueue):
    """The slots of a channel with a rate. One task asks the rate limiter for all requests and reports the answers."""

    def __init__(
        self, slots: int, shared: SharedRateLimiter, share: float, booth: Executor, tasks: set[asyncio.Task[None]]
    ) -> None:
        """`share`: messages a second while Redis is down. The rate limiter is called on a thread of `booth`."""
        super().__init__(slots)
        self.shared, self.share, self.booth, self.tasks = shared, share, booth, tasks
        self.unanswered = self.answered = 0
        """Messages in flight, and those answered since the last call of the rate limiter."""
        self.alone: LocalRateLimiter | None = None
        self.redis_at = 0.0
        self.stir = asyncio.Event()
        self.clerk: asyncio.Task[None] | None = None

    def set_rate(self, rate: float, share: float) -> None:
        """Use this rate from now on."""
        self.shared.rate, self.share = rate, share

    def is_wanted(self, run_id: int) -> bool:
        """Return True: each request needs a grant."""
        return True

    def give_back(self, run_id: int, messages: int) -> None:
        """End a turn; its messages count towards the rate for another second."""
        self.unanswered -= messages
        self.answered += messages
        super().give_back(run_id, messages)

    def _serve(self) -> None:
        self.stir.set()
        if self.clerk is None or self.clerk.done():
            self.clerk = asyncio.create_task(self._keep_books())
            self.tasks.add(self.clerk)
            self.clerk.add_done_callback(self.tasks.discard)

    async def _keep_books(self) -> None:
        loop = asyncio.get_running_loop()
        ask_at = said_at = 0.0
        while True:
            self.stir.clear()
            self._send_away()
            if not (self.waiting or self.unanswered or self.answered):
                return
            look_at = said_at + HEARTBEAT
            if self.waiting:
                look_at = min(look_at, loop.time() + LOOK, ask_at if self.free else look_at)
            if self.answered or loop.time() >= look_at:
                said_at = loop.time()
                ask_at = await self._ask() + loop.time()
                await asyncio.sleep(PAUSE)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stir.wait(), look_at - loop.time())

    def _send_away(self) -> None:
        """End the waiting of requests whose run may not go on."""
        for run_id, queue in list(self.waiting.items()):
            if not queue[0].may_go():
                del self.waiting[run_id]
                for asking in queue:
                    if not asking.turn.done():
                        asking.turn.set_result(False)

    async def _ask(self) -> float:
        """Ask for grants for the next requests and serve the granted ones; return the seconds until the next call."""
        loop = asyncio.get_running_loop()
        waiting = self._in_turn(min(self.free, MOST))
        sizes = [asking.messages for asking in waiting]
        out, answered, self.answered = self.unanswered, self.answered, 0
        if loop.time() >= self.redis_at:
            recent = answered + (self.alone.latest(loop.time()) if self.alone else 0)
            try:
                granted, wait = await loop.run_in_executor(self.booth, self.shared.ask, out, recent, sizes)
                self.alone = None
            except RateLimiterDown as error:
                self.redis_at = loop.time() + ask_again(error)
                self.alone = self.alone or LocalRateLimiter(self.share, loop.time())
        if self.alone is not None:
            granted, wait = self.alone.ask(out, answered, sizes, loop.time())
        for asking in waiting[:granted]:
            if asking.turn.done():  # cancelled meanwhile: it will not give the turn back
                self.answered += asking.messages
            else:
                self.unanswered += asking.messages
                self._give(asking)
        return wait
