"""Who is next on a channel, and what becomes of those who wait for its rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from smsapp.services.sending import slots
from smsapp.services.sending.slots import RateLimitedSlotQueue, SlotContext, SlotQueue


def always() -> bool:
    return True


def asked(given: SlotQueue, run_id: int, served: list[int], **more: Any) -> asyncio.Task[bool]:
    """Let a request of this run wait for its turn; `served` tells who had theirs."""

    async def wait() -> bool:
        got = await given.acquire(run_id, 1, always, **more)
        if got:
            served.append(run_id)
        return got

    return asyncio.create_task(wait())


async def soon() -> None:
    """Let everything happen that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_run_with_the_fewest_requests_out_is_next_and_then_they_alternate() -> None:
    async def story() -> None:
        # given four slots that a huge run has, and more of it waiting
        given, served = SlotQueue(4), list[int]()
        huge = [asked(given, 1, served) for _ in range(20)]
        await soon()
        assert served == [1] * 4
        # when a small one comes
        small = [asked(given, 2, served) for _ in range(5)]
        await soon()
        # then it is wanted that the huge one gives its turns back
        assert given.must_be_shared(1)
        for _ in range(2):
            given.release(1, 1)
            await soon()
        assert served[4:] == [2, 2]
        # and with half of the slots each they take turns
        for _ in range(2):
            given.release(2, 1)
            await soon()
            given.release(1, 1)
            await soon()
        assert served[6:] == [2, 1, 2, 1]
        for task in (*huge, *small):
            task.cancel()

    asyncio.run(story())


def test_a_run_that_is_alone_keeps_its_turn() -> None:
    async def story() -> None:
        given, served = SlotQueue(1), list[int]()
        waiting = [asked(given, 1, served) for _ in range(3)]
        await soon()
        assert not given.must_be_shared(1)
        assert given.must_be_shared(2)
        waiting[1].cancel()
        waiting[2].cancel()
        await soon()
        assert not given.must_be_shared(2)

    asyncio.run(story())


def test_one_that_had_a_turn_goes_before_the_others_of_its_run() -> None:
    async def story() -> None:
        given, order = SlotQueue(0), list[str]()

        async def wait(name: str, *, again: bool) -> None:
            await given.acquire(1, 1, always, again=again)
            order.append(name)

        tasks = [asyncio.create_task(wait("newer batch", again=False))]
        await soon()
        tasks.append(asyncio.create_task(wait("older batch", again=True)))
        await soon()
        given.free = 2
        given._serve()
        await asyncio.gather(*tasks)
        assert order == ["older batch", "newer batch"]

    asyncio.run(story())


def test_a_turn_is_not_lost_with_one_that_is_cut_while_it_is_given() -> None:
    async def story() -> None:
        given, served = SlotQueue(1), list[int]()
        first = asked(given, 1, served)
        await soon()
        cut, other = asked(given, 1, served), asked(given, 2, served)
        await soon()
        # when the slot is free and who is next is cut at the same moment
        given.release(1, 1)
        for task in (cut, other):
            task.cancel()
        await soon()
        # then the slot is free
        assert (given.free, given.waiting, first.result()) == (1, {}, True)

    asyncio.run(story())


class Told:
    """What stands for Redis: grants what a test allows and notes what it was told."""

    def __init__(self, *grants: int | Exception) -> None:
        self.grants = list(grants)
        self.told: list[tuple[int, int, int]] = []

    def ask(self, out: int, answered: int, sizes: Sequence[int]) -> tuple[int, float]:
        self.told.append((out, answered, len(sizes)))
        grant = self.grants.pop(0) if self.grants else len(sizes)
        if isinstance(grant, Exception):
            raise grant
        return grant, 0.0


def limited(
    story: Callable[[RateLimitedSlotQueue, set[asyncio.Task[None]]], Coroutine[Any, Any, None]], shared: Told
) -> None:
    """Play a story of a channel with a rate."""
    tasks: set[asyncio.Task[None]] = set()
    with ThreadPoolExecutor(1) as executor:

        async def play() -> None:
            await story(RateLimitedSlotQueue(10, shared, 5.0, SlotContext(executor, tasks)), tasks)  # type: ignore[arg-type]
            if tasks:
                await asyncio.wait(tasks)

        asyncio.run(play())


def test_what_is_out_and_what_was_answered_is_told_once_even_if_nobody_waits() -> None:
    shared = Told(1, 2)

    async def story(given: RateLimitedSlotQueue, tasks: set[asyncio.Task[None]]) -> None:
        served: list[int] = []
        await asyncio.gather(*(asked(given, 1, served) for _ in range(3)))
        assert given.must_be_shared(1), "every request needs its grant"
        assert (given.unanswered, given.free) == (3, 7)
        for _ in range(3):
            given.release(1, 1)

    limited(story, shared)
    # then one question served several, and the last one tells that nothing is out
    assert [told for told in shared.told if told[2]] == [(0, 0, 3), (1, 0, 2)]
    assert (sum(answered for _, answered, _ in shared.told), shared.told[-1][0]) == (3, 0)


def test_one_that_waits_for_the_rate_is_sent_away_when_its_run_must_not_go_on() -> None:
    shared = Told(*[0] * 1000)

    async def story(given: RateLimitedSlotQueue, tasks: set[asyncio.Task[None]]) -> None:
        goes = iter([True, True, False])
        assert await given.acquire(1, 1, lambda: next(goes)) is False
        assert (given.free, given.waiting) == (10, {})

    limited(story, shared)


def test_a_redis_that_is_silent_is_not_asked_at_every_turn_and_the_sender_keeps_to_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, local = Told(redis.TimeoutError()), list[tuple[int, int]]()

    class Alone:
        def __init__(self, share: float, since: float) -> None:
            assert share == 5.0

        def ask(self, out: int, answered: int, sizes: Sequence[int], now: float) -> tuple[int, float]:
            local.append((out, answered))
            return min(len(sizes), 1), 0.0

        def latest(self, now: float) -> int:
            return 4

    monkeypatch.setattr(slots, "LocalRateLimiter", Alone)

    async def story(given: RateLimitedSlotQueue, tasks: set[asyncio.Task[None]]) -> None:
        await asyncio.gather(*(asked(given, 1, []) for _ in range(3)))
        assert (len(shared.told), local) == (1, [(0, 0), (1, 0), (2, 0)])
        # and when it is asked again, it is told what left meanwhile
        assert given.retry_redis_at > asyncio.get_running_loop().time() + 5
        given.retry_redis_at = 0.0
        given.release(1, 1)

        assert await given.acquire(1, 1, always)
        assert shared.told[1][:2] == (2, 5)
        for _ in range(3):
            given.release(1, 1)

    limited(story, shared)
