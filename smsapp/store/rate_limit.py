"""A channel's rate limiter, shared by all workers on all hosts: one call of a Lua script (`rate_limit.lua`) grants
requests, none beyond the rate.

The provider counts a message at an unknown moment between its grant and its answer. So a message counts from its grant
until a second after its answer, and a request is granted only if its messages and all that count do not exceed the
rate. This holds however late a worker is: of the messages that a provider counts within one second, the one granted
last was granted while all the others counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis

from smsapp.store.queue import QueueDown, connection

BURST = 0.1
"""Seconds' worth of messages that may be sent at once after a pause; otherwise they are evenly spaced. The rate holds
anyway; the burst makes up for workers that wake late."""
HEARTBEAT_TIMEOUT = 10.0
"""Heartbeat timeout in seconds, after which a sender's requests no longer count: it is dead."""
HEARTBEAT = 2.0
"""Most seconds between heartbeats of a sender with requests in flight."""
ASK_AGAIN, ASK_AGAIN_TIMED_OUT = 1.0, 10.0
"""Seconds until the next call after an error, and after a timeout: with a dead connection every call takes seconds."""
LOOKED_BACK = 5
"""Whole seconds over which the rate in use is measured."""

GRANT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
"""The Lua script that grants requests; its state and invariants are at its top."""


class SharedRateLimiter:
    """One sender's access to a channel's rate limiter in Redis; construct it in an application context."""

    def __init__(self, channel_id: int, rate: float, sender: str) -> None:
        self.script = connection().register_script(GRANT)
        state = [
            f"smsapp:rate:{channel_id}:{name}"
            for name in ("state", "recent_answers", "in_flight_by_sender", "last_grant_by_sender")
        ]
        self.keys = [*state, _granted_in_second(channel_id)]
        self.sender, self.rate = sender, rate

    def ask(self, in_flight: int, answered: int, sizes: Sequence[int], now: float = 0.0) -> tuple[int, float]:
        """Report messages in flight, and those answered since the last call; ask for requests of these sizes.

        Returns how many of them may be sent now, and the seconds after which to ask for the rest. `now`: Unix seconds
        instead of Redis's clock. Raises RateLimiterDown if Redis does not answer.
        """
        times = (round(now * 1e6), round(HEARTBEAT_TIMEOUT * 1e6), round(BURST * 1e6))
        granted, wait = self.script(keys=self.keys, args=[self.sender, self.rate, in_flight, answered, *times, *sizes])
        return int(granted), int(wait) / 1e6


@dataclass
class LocalRateLimiter:
    """A sender's local limiter while Redis does not answer: its share of the rate, counted in the same way.

    Nothing is granted in the first second, which may be full already. A request larger than the share takes as many
    seconds as it has shares.
    """

    share: float
    since: float
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, messages answered)"""

    def ask(self, in_flight: int, answered: int, sizes: Sequence[int], now: float) -> tuple[int, float]:
        """As `SharedRateLimiter.ask`; `now` in seconds of the clock of `since`."""
        if answered:
            self.recent.append((now, answered))
        size = max(sizes, default=1)
        span = max(1.0, size / self.share)
        while self.recent and self.recent[0][0] + span <= now:
            self.recent.popleft()
        if now < self.since + 1:
            return 0, self.since + 1 - now
        granted, room = 0, max(self.share, size) - in_flight - self.latest(now, span)
        for size in sizes:
            if size > room:
                return granted, max(self.recent[0][0] + span - now if self.recent else 0.0, 0.01)
            room -= size
            granted += 1
        return granted, 0.0

    def latest(self, now: float, span: float = 1.0) -> int:
        """Return how many messages were answered within the last `span` seconds."""
        return sum(count for at, count in self.recent if at + span > now)


def _granted_in_second(channel_id: int) -> str:
    """Return the prefix of the keys that count a channel's granted messages second by second."""
    return f"smsapp:granted:{channel_id}:"


def in_use(channel_id: int) -> float:
    """Return the messages per second sent lately by all workers; raises RateLimiterDown if Redis does not answer."""
    second, _ = connection().time()
    counts = connection().mget([f"{_granted_in_second(channel_id)}{second - ago}" for ago in range(1, LOOKED_BACK + 1)])
    return sum(int(count or 0) for count in counts) / LOOKED_BACK


RateLimiterDown = QueueDown


def ask_again(error: RateLimiterDown) -> float:
    """Return the seconds until the next call after one that failed."""
    return ASK_AGAIN_TIMED_OUT if isinstance(error, redis.TimeoutError) else ASK_AGAIN
