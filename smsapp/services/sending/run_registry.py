"""What a sender has in hand: its channels, and the runs that are sent over them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.types import TemplateSnapshot
from smsapp.domain.quiet import QuietHours
from smsapp.services.sending.brake import Brake
from smsapp.services.sending.slots import SlotQueue

OPEN_BATCHES = 8
"""Most batches of one channel in a sender's hands: enough to fill the line, few enough to be unconfirmed after a
kill."""
FEWEST_CLAIMED = 10
"""Messages a claim for a held connection takes at least."""
MOMENT = 0.1
"""Seconds for which a claim for a held connection lasts at least."""
LONG_ENOUGH = 5000
"""Answers remembered for how many were taken within a second."""


@dataclass
class ActiveChannel:
    """One channel as a sender sees it."""

    channel_id: int
    adapter: Channel
    rate: int | None
    callback_url: str
    turns: SlotQueue
    brake: Brake
    most: int | None = None
    """The rate a person has set: no learned one goes beyond it."""
    taken: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LONG_ENOUGH))
    """When (loop time) how many messages were taken, lately."""
    batches: int = 0
    waiting: int = 0
    """Requests in hand whose turn has not come yet."""
    per_batch: int = 0
    """Requests the latest batch was cut into; 0 before there was one."""
    claim_size: int | None = None
    """Messages the next claim takes at most, on a held connection; None: whole batches."""

    def taken_lately(self, now: float, seconds: float = 1.0) -> int:
        """Return how many messages the provider took within so many seconds."""
        newest_first = takewhile(lambda taken: taken[0] > now - seconds, reversed(self.taken))
        return sum(n for _at, n in newest_first)

    def keep_claims_small(self, now: float) -> None:
        """Claim no more than fills the window once, or leaves in a MOMENT, because after a kill all of it is
        unconfirmed.

        One process sends over a held connection: nobody else would send sooner what it leaves.
        """
        self.claim_size = max(FEWEST_CLAIMED, self.adapter.max_concurrency, self.taken_lately(now, MOMENT))

    @property
    def ahead(self) -> int:
        """Return how many requests shall wait at least, so that no slot is idle while the database is asked."""
        return self.adapter.max_concurrency if self.claim_size is None else self.claim_size // 2

    @property
    def wanted(self) -> int:
        """Return how many batches more keep all slots busy, the database asked early enough that none waits for it.

        Claiming only when a slot was free left all of them idle for a claim and a write-back, once per batch.
        """
        if not self.per_batch:
            return 1 - self.batches
        return min(OPEN_BATCHES - self.batches, -(-(self.ahead - self.waiting) // self.per_batch))


@dataclass
class ActiveRun:
    """One run as a sender sees it: how to make its texts, and whether it may go on."""

    run_id: int
    line: ActiveChannel
    template: TemplateSnapshot
    mapping: dict[str, Any]
    render: Callable[[Sequence[str]], str]
    quiet: QuietHours | None
    troubled: bool
    """Its latest calls reached nobody; to be forgotten once one does."""
    batches: int = 0
    had_its_time: bool = False
    """The sender is finishing and claims no more of it."""
    has_none: bool = False
    """Nothing was there to claim when it was looked for last."""
    stopped: bool = False
    trouble: ChannelError | None = None
    """What the channel said; nothing more of this run leaves until it is written down and the run held."""

    @property
    def may_claim(self) -> bool:
        """Say whether this run may claim: one of which nothing is in hand need not wait until others have room."""
        rests = self.stopped or self.had_its_time or self.trouble is not None
        return not rests and (self.line.wanted > 0 or not (self.batches or self.has_none))
