"""What one sender has in hand: the runs it sends and the channels they go over.

`refresh` brings the registry in line with the database; `claim` takes the next batches. Both are database steps.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain.pace import Pace, faster
from smsapp.domain.quiet import QuietHours
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.sms_template import TemplateSnapshot
from smsapp.services.channels import accounts
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import opening, time_limits, unfinished
from smsapp.services.sending.brake import Brake
from smsapp.services.sending.slots import RateLimitedSlotQueue, SlotContext, SlotQueue
from smsapp.store import journal, queue
from smsapp.store.channels import paces
from smsapp.store.db import current_session, writing
from smsapp.store.rate_limit import RateLimiterDown, SharedRateLimiter, in_use
from smsapp.store.runs import claims, runs
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

OPEN_BATCHES = 8
"""Most batches of one channel in a sender's hands: enough to fill its slots, few enough to be unconfirmed after a
kill."""
FEWEST_CLAIMED = 10
"""Messages a claim for a held connection takes at least."""
SMALL_CLAIM_SECONDS = 0.1
"""Seconds for which a claim for a held connection lasts at least."""
MOST_REMEMBERED = 5000
"""Answers remembered for how many were accepted within a second."""
WAITED_OUT = dt.timedelta(seconds=15)
"""How long a hold may be for a sender to wait until it is over; a longer one leaves the worker to others."""


@dataclass
class ActiveChannel:
    """A channel over which this sender sends."""

    channel_id: int
    adapter: Channel
    rate: int | None
    """Messages a second at present; None: as fast as its slots allow."""
    callback_url: str
    slots: SlotQueue
    brake: Brake
    highest_rate: int | None
    """The rate a person has set; a learned pace never exceeds it."""
    accepted: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    """(loop time, messages) of the latest answers."""
    batches: int = 0
    waiting: int = 0
    """Requests in hand that have no slot yet."""
    per_batch: int = 0
    """Requests of the latest batch; 0 before the first one."""
    claim_size: int | None = None
    """Most messages of the next claim, on a held connection; None: whole batches."""

    def accepted_within(self, now: float, seconds: float = 1.0) -> int:
        """Return how many messages the provider accepted within so many seconds before `now` (loop time)."""
        newest_first = takewhile(lambda answer: answer[0] > now - seconds, reversed(self.accepted))
        return sum(messages for _at, messages in newest_first)

    def keep_claims_small(self, now: float) -> None:
        """Limit the next claim to what fills the window once or leaves within SMALL_CLAIM_SECONDS.

        After a kill all that is claimed is unconfirmed. One process sends over a held connection, so nobody else would
        send sooner what it leaves.
        """
        lately = self.accepted_within(now, SMALL_CLAIM_SECONDS)
        self.claim_size = max(FEWEST_CLAIMED, self.adapter.max_concurrency, lately)

    @property
    def reserve(self) -> int:
        """How many requests should wait, so that no slot is idle while the database is asked."""
        return self.adapter.max_concurrency if self.claim_size is None else self.claim_size // 2

    @property
    def batches_wanted(self) -> int:
        """How many batches more keep all slots busy; 0 or less: none."""
        if not self.per_batch:
            return 1 - self.batches
        return min(OPEN_BATCHES - self.batches, -(-(self.reserve - self.waiting) // self.per_batch))


class Phase(enum.IntEnum):
    """How far a run goes on in this sender. `ActiveRun.enter` never goes back; `RunRegistry.refresh` begins anew."""

    CLAIMING = 0
    EXHAUSTED = 1
    """Nothing was there to claim at the last try, and nothing is in hand."""
    FINISHING = 2
    """The sender's time is over: it claims nothing more of this run and sends what it has."""
    FAILED = 3
    """A call failed: nothing more leaves, and once the batch is stored the run is held."""
    STOPPED = 4
    """It is not sent any more."""


@dataclass
class ActiveRun:
    """A run that this sender sends: how its texts are made, and how far it goes on."""

    run_id: int
    channel: ActiveChannel
    template: TemplateSnapshot
    mapping: Mapping[str, object]
    render: Callable[[Sequence[str]], str]
    quiet: QuietHours | None
    after_failures: bool
    """Its latest calls reached nobody; a success ends that."""
    valid_until: dt.datetime | None = None
    """Nothing leaves from then on."""
    has_own_rate: bool = False
    takes_people: bool = False  # single messages, at any moment
    batches: int = 0
    phase: Phase = Phase.CLAIMING

    def enter(self, phase: Phase) -> None:
        """Enter this phase unless a later one has been entered."""
        self.phase = max(self.phase, phase)

    @property
    def may_claim(self) -> bool:
        """Whether batches may be claimed: a run of which nothing is in hand need not wait until others have room."""
        if self.phase >= Phase.FINISHING:
            return False
        return self.channel.batches_wanted > 0 or (self.phase is Phase.CLAIMING and not self.batches)

    def may_send(self, now: dt.datetime) -> bool:
        """Return whether a request of this run may leave now."""
        is_quiet = self.quiet is not None and self.quiet.over_at(now) is not None
        return self.phase < Phase.FAILED and not is_quiet and not self.is_expired(now)

    def is_expired(self, now: dt.datetime) -> bool:
        """Return whether what has not left of this run expires."""
        return self.valid_until is not None and now >= self.valid_until


class RunRegistry:
    """The runs and channels of one sender, which claims under the id `claim`."""

    def __init__(
        self,
        claim: str,
        clock: Clock,
        held_channels: Callable[[], Collection[int]] | None,
        slot_context: SlotContext,
    ) -> None:
        """`held_channels`: the channels whose connections this process holds; None leaves all such channels alone."""
        self.claim_id = claim
        self.clock = clock
        self.held_channels = held_channels
        self.slot_context = slot_context
        self.runs: dict[int, ActiveRun] = {}
        self.channels: dict[int, ActiveChannel] = {}
        self.last_run = 0
        """The run that was claimed of last: all take turns."""
        self.resumes_soon = False
        """Whether a run is held for a moment only, so that waiting for it is worth while."""

    # -- database steps -------------------------------------------------------------------------------------------

    def refresh(self) -> list[int]:
        """Extend leases, wake held runs, drop those that must not go on and add new ones; return ids to be frozen."""
        now = self.clock()
        with writing() as session:
            claims.extend_leases(session, self.claim_id, now + self._lease())
            runs.resume_due(session, now)
        present = {run.id: run for run in unfinished.at_hand(self._held())}
        sendable = {run_id for run_id, run in present.items() if run.state == RunState.SENDING}
        for run_id, run in list(self.runs.items()):
            if run_id not in sendable or run.phase is Phase.STOPPED:
                # It is added anew if it goes on: a person may have changed the channel's key meanwhile.
                run.enter(Phase.STOPPED)
                del self.runs[run_id]
            elif run.phase is Phase.EXHAUSTED:
                run.phase = Phase.CLAIMING
        soon = now + WAITED_OUT
        self.resumes_soon = any(run.has_own_rate and run.phase < Phase.FINISHING for run in self.runs.values()) or any(
            run.hold_until is not None and now < run.hold_until <= soon for run in present.values()
        )
        busy = {run.channel.channel_id for run in self.runs.values()}
        self.channels = {key: channel for key, channel in self.channels.items() if key in busy or channel.batches}
        self._apply_paces(now)
        for run_id in sendable - self.runs.keys():
            self._add(present[run_id], now)
        return [run.id for run in present.values() if run.state == RunState.OPEN]

    def claim(self, limit: int, sizes: Mapping[int, int]) -> list[ClaimedBatch]:
        """Claim up to `limit` batches of the run whose turn it is, of at most these many messages by run.

        Runs that have come into their quiet hours are held first. Nothing is claimed on a full disk: the journal has to
        tell of a claim before it leaves.
        """
        if not journal.has_space():
            log.error("journal.full")
            self.resumes_soon = True
            return []
        now = self.clock()
        for run_id, run in self.runs.items():
            if run.is_expired(now) and run.may_claim:
                time_limits.expire(run_id, now)
        with writing() as session:
            for run_id, run in sorted(self.runs.items()):
                until = run.quiet.over_at(now) if run.quiet and run.may_claim else None
                if until is not None and claims.is_ready(session, [run_id]):
                    runs.hold(session, run_id, HoldReason.QUIET_HOURS, until, now, Run.state == RunState.SENDING)
                    run.enter(Phase.STOPPED)
            claim = time_limits.Claim(self.claim_id, now + self._lease(), dict(sizes))
            batches = self._claim_evenly(session, claim, now)
            if not batches:
                claimable = [run_id for run_id, run in self.runs.items() if run.may_claim and not run.has_own_rate]
                lease = claim.lease_until
                batches = claims.claim_batches(session, claimable, self.last_run, self.claim_id, lease, limit, sizes)
        if batches:
            self.last_run = batches[0].run_id
        return batches

    def _claim_evenly(self, session: Session, claim: time_limits.Claim, now: dt.datetime) -> list[ClaimedBatch]:
        """Claim of the first run with a rate of its own that has earned messages; the others have their turn then."""
        for run_id, run in sorted(self.runs.items()):
            if run.has_own_rate and run.may_claim:
                batches = time_limits.claim_at_own_rate(session, run_id, claim, now)
                if batches:
                    return batches
        return []

    def is_anything_left(self) -> bool:
        """Return whether another sender would find something to do."""
        return unfinished.is_anything_left(self._held(), self.clock())

    # -- in memory ------------------------------------------------------------------------------------------------

    def batches_wanted(self) -> int:
        """Return how many batches the next claim should take; 0 if no run may claim."""
        wanted = [run.channel.batches_wanted for run in self.runs.values() if run.may_claim]
        return max(1, min(wanted)) if wanted else 0

    def claim_sizes(self, now: float) -> dict[int, int]:
        """Return run -> most messages of a claim, for runs sent over a held connection; `now` is loop time."""
        if self.held_channels is None:
            return {}
        for channel in self.channels.values():
            channel.keep_claims_small(now)
        return {run_id: run.channel.claim_size for run_id, run in self.runs.items() if run.channel.claim_size}

    def note_nothing_claimed(self) -> None:
        """Note that no batch was there to claim."""
        for run in self.runs.values():
            if not run.batches:
                run.enter(Phase.EXHAUSTED)

    def finish(self) -> None:
        """Claim no more of the runs in hand, but of those that take people; runs that are new may still be added."""
        for run in (run for run in self.runs.values() if not run.takes_people):
            run.enter(Phase.FINISHING)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _held(self) -> Collection[int] | None:
        return None if self.held_channels is None else self.held_channels()

    def _lease(self) -> dt.timedelta:
        return dt.timedelta(seconds=settings().LEASE_SECONDS)

    def _add(self, run: Run, now: dt.datetime) -> None:
        try:
            self.runs[run.id] = active = self._active(run)
        except OperationalError:
            raise
        except Exception:
            log.exception("run.fault run=%s", run.id)
            opening.hold_for_fault(run.id, RunState.SENDING, now)
            return
        if self.held_channels is not None or active.channel.rate or active.has_own_rate:
            self.resumes_soon = self.resumes_soon or active.has_own_rate
            return
        if claims.is_much_left(current_session(), run.id, OPEN_BATCHES):
            # A worker that is free begins a sender as well, which enqueues in its turn: each has a processor to give.
            queue.enqueue_unless_waiting(queue.SEND, "send", run.id)

    def _active(self, run: Run) -> ActiveRun:
        channel = self.channels.get(run.channel_id) or self._add_channel(run.channel_id)
        snapshot, template = run.snapshot, run.snapshot.template
        return ActiveRun(
            run.id,
            channel,
            template,
            snapshot.mapping,
            template.renderer(),
            snapshot.quiet_hours,
            run.troubled_at is not None,
            run.valid_until,
            run.own_rate is not None,
            run.takes_until is not None,
        )

    def _add_channel(self, channel_id: int) -> ActiveChannel:
        row = accounts.row(channel_id)
        adapter = accounts.adapter(channel_id)
        brake = Brake(settings().BRAKE_AFTER)
        slots = self._slots(channel_id, adapter, row.rate) if row.rate else SlotQueue(adapter.max_concurrency)
        channel = ActiveChannel(channel_id, adapter, row.rate, accounts.callback_url(row), slots, brake, row.rate)
        self.channels[channel_id] = channel
        self._apply_paces(self.clock())
        return channel

    def _slots(self, channel_id: int, adapter: Channel, rate: float) -> RateLimitedSlotQueue:
        limiter = SharedRateLimiter(channel_id, rate, self.claim_id)
        share = rate / settings().SEND_WORKERS
        return RateLimitedSlotQueue(adapter.max_concurrency, limiter, share, self.slot_context)

    def _apply_paces(self, now: dt.datetime) -> None:
        """Let the channels in hand keep to the pace that any sender has learned of them."""
        for channel_id, pace in paces.of(current_session(), self.channels).items():
            channel = self.channels[channel_id]
            learned = pace.rate(now)
            rate = min(learned, channel.highest_rate or learned)
            channel.rate = max(1, int(rate))
            if isinstance(channel.slots, RateLimitedSlotQueue):
                channel.slots.set_rate(rate, rate / settings().SEND_WORKERS)
            else:
                channel.slots = self._slots(channel_id, channel.adapter, rate)
            self._speed_up(channel_id, pace, now)

    def _speed_up(self, channel_id: int, pace: Pace, now: dt.datetime) -> None:
        """Raise the pace if the provider has accepted all messages at the highest one that is known."""
        if faster(pace, pace.rate(now), now) == pace:
            return
        with suppress(RateLimiterDown), writing() as session:
            paces.speed_up(session, channel_id, pace, in_use(channel_id), now)
