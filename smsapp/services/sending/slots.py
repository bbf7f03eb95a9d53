"""Whose turn it is on a channel: the runs of a sender share its slots request by request, all senders its rate.

A turn is one of the channel's slots and, if it has a rate, the grant to leave now. The run that has the fewest requests
out goes first, of several the one that was served the longest ago: a small run beside a huge one waits for an answer or
two, not for a batch.
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
"""Seconds within which one that waits for the rate notices that its run must not go on."""
PAUSE = 0.002
"""Seconds between questions about the rate; at high rates one question is about many requests."""
MOST = 100
"""Requests a question is about at most."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A request that waits for its turn; False instead if its run must not go on."""

    run_id: int
    messages: int
    may_go: Callable[[], bool]
    turn: asyncio.Future[bool]


class SlotQueue:
    """The turns of a channel without a rate."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.out: Counter[int] = Counter()
        """Requests of each run that are out."""
        self.waiting: dict[int, deque[Waiter]] = {}
        self.served: Counter[int] = Counter()
        """When each run was served last, counted in turns."""
        self.turn = 0

    async def take(self, run_id: int, messages: int, may_go: Callable[[], bool], *, again: bool = False) -> bool:
        """Wait for the turn of this request; False, and no turn, if its run must not go on, as `may_go` tells.

        `again`: from one that had a turn already; it goes before those of its run that had none.
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
        """Say whether this run's turn has to be given back after each request, because another run waits for one."""
        return len(self.waiting) > (run_id in self.waiting)

    def give_back(self, run_id: int, messages: int) -> None:
        """End a turn."""
        self.free += 1
        self.out[run_id] -= 1
        self._serve()

    def _serve(self) -> None:
        """See who is next."""
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
        """Return those whose turn comes next, in order."""
        if len(self.waiting) == 1:
            return [asking for queue in self.waiting.values() for asking in islice(queue, most)]
        found: list[Waiter] = []
        queues = {run_id: iter(queue) for run_id, queue in self.waiting.items()}
        out, served = self.out.copy(), self.served.copy()
        while queues and len(found) < most:
            run_id = min(queues, key=lambda run_id: (out[run_id], served[run_id]))
            asking = next(queues[run_id], None)
            if asking is None:
                del queues[run_id]
                continue
            found.append(asking)
            out[run_id] += 1
            served[run_id] = self.turn + len(found)
        return found


class RateLimitedSlotQueue(SlotQueue):
    """The turns of a channel with a rate. One task asks for all that wait and tells what was answered."""

    def __init__(
        self, slots: int, shared: SharedRateLimiter, share: float, booth: Executor, tasks: set[asyncio.Task[None]]
    ) -> None:
        """`share`: messages a second while Redis cannot be asked. Questions are asked on a thread of `booth`."""
        super().__init__(slots)
        self.shared, self.share, self.booth, self.tasks = shared, share, booth, tasks
        self.unanswered = self.answered = 0
        """Messages that are out, and those answered since the last question."""
        self.alone: LocalRateLimiter | None = None
        self.redis_at = 0.0
        self.stir = asyncio.Event()
        self.clerk: asyncio.Task[None] | None = None

    def set_rate(self, rate: float, share: float) -> None:
        """Keep to this rate from now on."""
        self.shared.rate, self.share = rate, share

    def is_wanted(self, run_id: int) -> bool:
        """Say yes: each request has to be granted."""
        return True

    def give_back(self, run_id: int, messages: int) -> None:
        """End a turn; its messages go on counting for a second."""
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
        """Tell those whose run must not go on."""
        for run_id, queue in list(self.waiting.items()):
            if not queue[0].may_go():
                del self.waiting[run_id]
                for asking in queue:
                    if not asking.turn.done():
                        asking.turn.set_result(False)

    async def _ask(self) -> float:
        """Ask for those whose turn is next and let them go as far as granted; return the seconds until the next try."""
        loop = asyncio.get_running_loop()
        chosen = self._in_turn(min(self.free, MOST))
        sizes = [asking.messages for asking in chosen]
        out, answered, self.answered = self.unanswered, self.answered, 0
        if loop.time() >= self.redis_at:
            known = answered + (self.alone.latest(loop.time()) if self.alone else 0)
            try:
                granted, wait = await loop.run_in_executor(self.booth, self.shared.ask, out, known, sizes)
                self.alone = None
            except RateLimiterDown as error:
                self.redis_at = loop.time() + ask_again(error)
                self.alone = self.alone or LocalRateLimiter(self.share, loop.time())
        if self.alone is not None:
            granted, wait = self.alone.ask(out, answered, sizes, loop.time())
        for asking in chosen[:granted]:
            if asking.turn.done():  # it was cut meanwhile, and has nothing to give back
                self.answered += asking.messages
            else:
                self.unanswered += asking.messages
                self._give(asking)
        return wait
