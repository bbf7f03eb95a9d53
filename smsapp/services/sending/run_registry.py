"""The state of a sender: its channels, and the runs that it sends over them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from smsapp.channels.base import Channel, ChannelError, TemplateSnapshot
from smsapp.domain.quiet import QuietHours
from smsapp.services.sending.brake import Brake
from smsapp.services.sending.slots import SlotQueue

OPEN_BATCHES = 8
"""Most claimed batches of one channel and sender: enough to fill its slots, few to be unconfirmed after a kill."""
FEWEST_CLAIMED = 10
"""The least messages of a claim for a held connection."""
MOMENT = 0.1
"""A claim for a held connection lasts at least so many seconds."""
LONG_ENOUGH = 5000
"""How many answers are remembered to count those accepted within a second."""


@dataclass
class ActiveChannel:
    """One channel of a sender."""

    channel_id: int
    adapter: Channel
    rate: int | None
    callback_url: str
    turns: SlotQueue
    brake: Brake
    most: int | None = None
    """The rate a person has set; a learned rate never exceeds it."""
    taken: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LONG_ENOUGH))
    """(loop time, messages accepted then) of the latest answers."""
    batches: int = 0
    waiting: int = 0
    """Requests that wait for a slot."""
    per_batch: int = 0
    """Requests of the latest batch; 0 before the first batch."""
    claim_size: int | None = None
    """Most messages of the next claim on a held connection; None: whole batches."""

    def taken_lately(self, now: float, seconds: float = 1.0) -> int:
        """Return how many messages the provider accepted in the last `seconds`."""
        newest_first = takewhile(lambda entry: entry[0] > now - seconds, reversed(self.taken))
        return sum(n for _at, n in newest_first)

    def keep_claims_small(self, now: float) -> None:
        """Limit claims to one full window, or to what leaves in a MOMENT: after a kill all of it is unconfirmed.

        Only one process sends over a held connection, so no other would send the unclaimed messages sooner.
        """
        self.claim_size = max(FEWEST_CLAIMED, self.adapter.max_concurrency, self.taken_lately(now, MOMENT))

    @property
    def ahead(self) -> int:
        """Return how many requests must wait at least so that no slot is idle during a claim."""
        return self.adapter.max_concurrency if self.claim_size is None else self.claim_size // 2

    @property
    def wanted(self) -> int:
        """Return how many more batches to claim now so that no slot becomes idle during the claim.

        Claiming only once a slot is free would leave all of them idle for a claim and a write-back, once per batch.
        """
        if not self.per_batch:
            return 1 - self.batches
        return min(OPEN_BATCHES - self.batches, -(-(self.ahead - self.waiting) // self.per_batch))


@dataclass
class ActiveRun:
    """One run of a sender: how its texts are made, and whether it may go on."""

    run_id: int
    line: ActiveChannel
    template: TemplateSnapshot
    mapping: dict[str, Any]
    render: Callable[[Sequence[str]], str]
    quiet: QuietHours | None
    troubled: bool
    """Its latest calls failed to reach the provider; False again once one does."""
    batches: int = 0
    had_its_time: bool = False
    """The sender is finishing and claims no more of it."""
    has_none: bool = False
    """The latest claim found nothing."""
    stopped: bool = False
    trouble: ChannelError | None = None
    """The channel's error; no further message of this run leaves until it is stored and the run is held."""

    @property
    def may_claim(self) -> bool:
        """Return whether this run may claim; one without claimed batches may, even if its channel has enough."""
        rests = self.stopped or self.had_its_time or self.trouble is not None
        return not rests and (self.line.wanted > 0 or not (self.batches or self.has_none))
