"""Whether a channel's rate holds whatever workers and answers are late with, and is used as far as it may be."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest
import redis

from smsapp.store import rate_limit
from smsapp.store.rate_limit import LocalRateLimiter, SharedRateLimiter

BEGIN = 1_700_000_000.0
"""Where simulated time begins, as Redis would tell it."""


class Sender:
    """One sender in simulated time: asks, lets go, hears the answers, and is late with each of them."""

    def __init__(
        self, shared: SharedRateLimiter, size: int, late: Callable[[], float], latency: Callable[[], float]
    ) -> None:
        self.shared, self.size, self.late, self.latency = shared, size, late, latency
        self.out = 0
        self.answers: list[tuple[float, int]] = []
        self.spans: list[tuple[float, float, int]] = []
        """(granted, answered, messages) of every request: when its provider may have counted it."""

    def ask(self, now: float) -> float:
        """Ask once; return when this sender looks again."""
        answered = 0
        while self.answers and self.answers[0][0] <= now:
            answered += heapq.heappop(self.answers)[1]
        self.out -= answered
        granted, wait = self.shared.ask(self.out, answered, [self.size] * 10, now)
        for _ in range(granted):
            back = now + self.late() + self.latency()
            heapq.heappush(self.answers, (back, self.size))
            self.spans.append((now, back, self.size))
            self.out += self.size
        following = [now + wait, *(at for at, _ in self.answers[:1])]
        return max(min(following), now + 0.002) + self.late()


def play(senders: list[Sender], seconds: float, dice: random.Random) -> None:
    """Let the senders work side by side."""
    looks = [(BEGIN + dice.random() / 100, n) for n in range(len(senders))]
    heapq.heapify(looks)
    while looks[0][0] < BEGIN + seconds:
        now, n = looks[0]
        heapq.heapreplace(looks, (senders[n].ask(now), n))


def busiest_second(moments: list[tuple[float, int]]) -> int:
    """Return the most messages within any second."""
    moments.sort()
    most = count = first = 0
    for at, size in moments:
        count += size
        while moments[first][0] <= at - 1:
            count -= moments[first][1]
            first += 1
        most = max(most, count)
    return most


@pytest.fixture
def sender(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], SharedRateLimiter]:
    """Makes a sender's part in the rate of one channel."""
    monkeypatch.setattr(rate_limit, "connection", lambda: valkey)
    return lambda name, per_second: SharedRateLimiter(7, per_second, name)


@pytest.mark.parametrize(
    ("per_second", "size", "late", "latency"),
    [(100, 1, 0.002, 0.001), (100, 1, 0.1, 0.05), (100, 7, 0.05, 0.3), (10, 10, 0.02, 0.02), (1000, 1, 0.01, 0.1)],
)
def test_no_second_sees_more_than_the_rate_whatever_is_late(
    sender: Callable[[str, int], SharedRateLimiter], per_second: int, size: int, late: float, latency: float
) -> None:
    # given four senders that wake late and a provider that answers late, both by chance
    dice = random.Random(f"{per_second}{size}")
    senders = [
        Sender(
            sender(f"l{n}", per_second), size, lambda: dice.expovariate(1 / late), lambda: dice.expovariate(1 / latency)
        )
        for n in range(4)
    ]
    # when
    play(senders, 3.0, dice)
    # then whenever between departure and answer the provider counts, no second has more than the rate
    spans = [span for one in senders for span in one.spans]
    for _ in range(20):
        counted = [(dice.choice((at, back, dice.uniform(at, back))), n) for at, back, n in spans]
        assert busiest_second(counted) <= per_second
    granted_beside = [sum(n for a, back, n in spans if a <= at and back > at - 1) for at, _, _ in spans]
    assert max(granted_beside) <= per_second


@pytest.mark.parametrize(("per_second", "size"), [(10, 10), (100, 1), (3000, 10)])
def test_a_provider_that_answers_at_once_gets_what_it_allows_and_no_sender_is_left_out(
    sender: Callable[[str, int], SharedRateLimiter], per_second: int, size: int
) -> None:
    dice = random.Random(5)
    senders = [Sender(sender(f"l{n}", per_second), size, lambda: 0.001, lambda: 0.001) for n in range(4)]
    play(senders, 5.0, dice)
    shares = [sum(n for *_, n in one.spans) for one in senders]
    assert sum(shares) >= 0.97 * 5 * per_second
    assert min(shares) >= sum(shares) / 16


def test_after_a_pause_only_a_few_leave_at_once_and_the_rest_evenly(
    sender: Callable[[str, int], SharedRateLimiter],
) -> None:
    one, leaving, out, now = sender("a", 100), [], 0, BEGIN
    while now < BEGIN + 0.5:
        granted, wait = one.ask(out, 0, [1] * 20, now)
        leaving.append(granted)
        out, now = out + granted, now + max(wait, 0.001)
    assert max(leaving) == leaving[0] == 100 * rate_limit.BURST + 1
    assert out == pytest.approx(60, abs=2)


def test_what_a_dead_sender_had_out_counts_for_some_seconds_only(
    sender: Callable[[str, int], SharedRateLimiter],
) -> None:
    # given a sender that is granted all there is, and dies
    assert sender("dead", 10).ask(0, 0, [10], BEGIN)[0] == 1
    # then the others wait, but not for ever
    other = sender("other", 10)
    assert other.ask(0, 0, [1], BEGIN + rate_limit.HEARTBEAT_TIMEOUT) == (0, 1.0)
    assert other.ask(0, 0, [1], BEGIN + rate_limit.HEARTBEAT_TIMEOUT + 0.1)[0] == 1
    # and one that is only slow says so
    assert other.ask(10, 0, [], BEGIN + 30) == (0, 0.0)
    assert sender("third", 10).ask(0, 0, [1], BEGIN + 31)[0] == 0


def test_an_answer_counts_for_a_second_and_those_who_wait_are_told_how_long(
    sender: Callable[[str, int], SharedRateLimiter],
) -> None:
    one, other = sender("a", 10), sender("b", 10)
    assert one.ask(0, 0, [5, 5], BEGIN)[0] == 1, "evenly spaced"
    assert one.ask(5, 0, [5], BEGIN + 0.5)[0] == 1
    one.ask(5, 5, [], BEGIN + 0.604)
    one.ask(0, 5, [], BEGIN + 0.701)
    # answers are summed up by hundredths of a second, rounded up
    assert other.ask(0, 0, [5], BEGIN + 0.8) == pytest.approx((0, 0.81))
    assert other.ask(0, 0, [5, 5], BEGIN + 1.61)[0] == 1


def test_a_clock_that_is_set_back_stops_nobody(sender: Callable[[str, int], SharedRateLimiter]) -> None:
    one = sender("a", 10)
    assert one.ask(0, 0, [5], BEGIN)[0] == 1
    one.ask(0, 5, [], BEGIN)
    assert one.ask(0, 0, [5], BEGIN - 3600)[0] == 0
    assert one.ask(0, 0, [5], BEGIN - 3598)[0] == 1


def test_a_request_cut_before_the_rate_was_lowered_still_leaves(
    sender: Callable[[str, int], SharedRateLimiter],
) -> None:
    one = sender("a", 5)
    assert one.ask(0, 0, [20], BEGIN)[0] == 1
    assert one.ask(20, 0, [20], BEGIN + 9)[0] == 0


def test_alone_a_sender_keeps_to_its_share_from_the_second_second_on() -> None:
    one = LocalRateLimiter(share=5, since=100.0)
    assert one.ask(0, 3, [1], 100.4) == pytest.approx((0, 0.6))
    # what was answered less than a second ago counts, and what is out
    assert one.ask(1, 0, [1, 1], 101.0)[0] == 1
    assert one.ask(0, 2, [1] * 9, 101.5)[0] == 3
    assert one.ask(3, 0, [1], 101.6)[0] == 0
    assert one.latest(101.6) == 2


def test_alone_a_request_larger_than_the_share_takes_the_time_of_several() -> None:
    one = LocalRateLimiter(share=5, since=0.0)
    assert one.ask(0, 0, [10, 10], 10.0)[0] == 1
    assert one.ask(0, 10, [10], 10.5) == pytest.approx((0, 2.0))
    assert one.ask(0, 0, [10], 12.5)[0] == 1
