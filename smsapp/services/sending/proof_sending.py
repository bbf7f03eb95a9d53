"""Sends what waits for the test group: proofs that a person asked for, and the seeds of runs that have begun.

As with a run's messages: the rate first, then the claim, which is committed and in the journal, then the call, then the
result. A worker that dies in between leaves the text unconfirmed; nobody sends it again.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.types import OutboundMessage, SubmitRequest
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.storable import storable
from smsapp.services.channels import account_calls, accounts, provider_calls, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import shutdown
from smsapp.services.platform.clock import Clock
from smsapp.services.receipts import proof_receipts
from smsapp.services.sending.rendering import NO_ANSWER
from smsapp.store import journal, queue
from smsapp.store.channels import paces
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import after_commit, current_session, lock_row, writing
from smsapp.store.rate_limit import RateLimiterDown, SharedRateLimiter, ask_again
from smsapp.store.runs import proofs as store
from smsapp.store.runs.proofs import Proof, ProofMessage
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

LONGEST = dt.timedelta(seconds=45)
"""How long one job sends; what is left is found by the next."""
TURN_SECONDS = 20.0
"""Seconds to wait for the channel's rate before another channel has its turn."""
GIVEN_UP_AFTER = dt.timedelta(days=1)
BACK_OFF = dt.timedelta(seconds=10)
MOST_ATTEMPTS = 6
"""Calls of which it is sure that nothing left."""
AGAIN = frozenset({CallResult.NOT_SENT, CallResult.THROTTLED})

Pause = Callable[[float], None]


def has_work(now: dt.datetime) -> bool:
    """Return whether a worker may send a text now, or has to give one up."""
    if settings().NO_SEND:
        return False
    session = current_session()
    if store.next_due(session, now, None, accounts.held_elsewhere()) is not None:
        return True
    return store.has_overdue(session, now, now - GIVEN_UP_AFTER)


def wake(session: Session) -> None:
    """Have a worker look once this transaction is committed."""
    after_commit(session, lambda: queue.enqueue(queue.PERIODIC, "send_proofs"))


def send_due(clock: Clock, pause: Pause = time.sleep) -> int:
    """Send what waits, for some seconds; return how many calls were made. Held connections send their own."""
    if not has_work(clock()):
        return 0
    begun = clock()
    with writing() as session:
        lost = store.settle_overdue(session, begun, begun - GIVEN_UP_AFTER)
    if lost:
        log.warning("proof.overdue n=%s", lost)
    turns = Turns(pause)
    calls = 0
    while not shutdown.requested() and clock() - begun < LONGEST:
        claimed = claim_next(turns, clock, None)
        if claimed is None:
            break
        calls += 1
        _send(claimed, clock)
        turns.answered(claimed.channel.id)
    return calls


def claim_next(turns: Turns, clock: Clock, held: Mapping[int, Channel] | None) -> Claimed | None:
    """Claim the next text once its channel has room for it; None if there is none.

    `held`: the channels whose connection this process holds, with their adapters; None: all that need no such process.
    """
    while journal.has_space() and not settings().NO_SEND:
        ids = None if held is None else held.keys() - turns.full
        elsewhere = turns.full | accounts.held_elsewhere() if held is None else ()
        due = store.next_due(current_session(), clock(), ids, elsewhere)
        if due is None:
            break
        message_id, channel_id = due
        channel = accounts.row(channel_id)
        adapter = _adapter(channel) if held is None else held[channel_id]
        if adapter is None or not turns.wait(channel, clock()):
            turns.full.add(channel_id)
            continue
        claimed = _claim(message_id, adapter, clock())
        if claimed is not None:
            return claimed
        turns.answered(channel_id)
    return None


def _adapter(channel: ChannelRow) -> Channel | None:
    try:
        return registry.new_adapter(channel)
    except Refusal:
        return None


@dataclass
class Turns:
    """The turns at the channels' rate limiters, which count these texts with those of the runs."""

    pause: Pause
    full: set[int] = field(default_factory=set)
    """Channels that had no room for long, or whose settings cannot be read."""
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    limiters: dict[int, SharedRateLimiter] = field(default_factory=dict)

    def wait(self, channel: ChannelRow, now: dt.datetime) -> bool:
        """Wait until one message may leave over the channel; False if it has no room for long."""
        pace = paces.of(current_session(), [channel.id]).get(channel.id)
        rates = [rate for rate in (channel.rate, pace.rate(now) if pace else None) if rate]
        if not rates:
            return True
        limiter = self.limiters.setdefault(channel.id, SharedRateLimiter(channel.id, min(rates), self.name))
        limiter.rate = min(rates)
        waited = 0.0
        while waited < TURN_SECONDS:
            try:
                granted, seconds = limiter.ask(0, 0, [1])
            except RateLimiterDown as error:
                # A process alone keeps to its share: one message in so many seconds.
                self.pause(max(ask_again(error), settings().SEND_WORKERS / min(rates)))
                return True
            if granted:
                return True
            self.pause(max(seconds, 0.01))
            waited += max(seconds, 0.01)
        return False

    def answered(self, channel_id: int) -> None:
        """Tell the limiter that the message of the last turn is answered."""
        if channel_id in self.limiters:
            try:
                self.limiters[channel_id].ask(0, 1, [])
            except RateLimiterDown:
                log.warning("proof.rate_limiter_down")


@dataclass(frozen=True)
class Claimed:
    """A text that is to leave now."""

    message_id: int
    proof_id: int
    channel: ChannelRow
    adapter: Channel
    submission: SubmitRequest = field(repr=False)


def _claim(message_id: int, adapter: Channel, now: dt.datetime) -> Claimed | None:
    """Take the text; None if another worker has it, or if it has to wait for the end of the quiet hours."""
    with writing() as session:
        message = session.get(ProofMessage, message_id, populate_existing=True)
        proof = session.get(Proof, message.proof_id, populate_existing=True) if message else None
        if message is None or proof is None:
            return None
        hours = proof.snapshot.quiet_hours
        until = hours.over_at(now) if hours else None
        if until is not None:
            store.set_aside(session, proof.id, until)
            return None
        channel = session.get_one(ChannelRow, proof.channel_id, populate_existing=True)
        if not store.claim(session, message_id, now + dt.timedelta(seconds=settings().LEASE_SECONDS), now):
            return None
        values = tuple(map(str, proof.values))
        template = proof.snapshot.template
        outbound = OutboundMessage(message.ref, message.phone, template.renderer()(values), values)
        submission = SubmitRequest(template, [outbound], accounts.callback_url(channel), proof.valid_until)
        return Claimed(message_id, proof.id, channel, adapter, submission)


def _send(claimed: Claimed, clock: Clock) -> None:
    """Make the call and store what it brought, whatever goes wrong in between."""
    try:
        trial = account_calls.send_one(claimed.adapter, claimed.submission)
    except Exception:
        # A fault of ours in the adapter: it may have left.
        log.exception("adapter.fault channel=%s", claimed.channel.id)
        trial = TestResult(CallResult.OUTCOME_UNKNOWN, code="adapter_fault", begun=time.monotonic())
    store_result(claimed, trial, clock())


def store_result(claimed: Claimed, trial: TestResult, now: dt.datetime) -> None:
    """Store what a call brought. A receipt that was quicker than the answer stays."""
    with writing() as session:
        message = lock_row(session, ProofMessage, claimed.message_id)
        if message is not None:
            message.provider_ref, code = storable(trial.provider_ref), storable(trial.code)
            message.lease_until = None
            if message.status in (Status.IN_FLIGHT, Status.UNCONFIRMED):
                _take_answer(session, message, claimed.proof_id, trial, now)
                message.code = code
            session.flush()
            proof_receipts.apply_waiting(session, claimed.channel.id, message, now)
            store.forget_values(session, claimed.proof_id)
        provider_calls.note(session, claimed.channel.id, claimed.adapter, trial.call("proof", 1), now)


def _take_answer(session: Session, message: ProofMessage, proof_id: int, trial: TestResult, now: dt.datetime) -> None:
    message.reason = ""
    if trial.ok:
        message.status = int(Status.ACCEPTED)
    elif trial.result is CallResult.OUTCOME_UNKNOWN:
        message.status, message.reason = int(Status.UNCONFIRMED), NO_ANSWER
    elif trial.result in AGAIN and message.attempts < MOST_ATTEMPTS and message.status == Status.IN_FLIGHT:
        message.status, message.handed_at = int(Status.QUEUED), None
        store.set_aside(session, proof_id, now + BACK_OFF * message.attempts)
    else:
        message.status, message.reason = int(Status.REFUSED), str(trial.outcome or Outcome.UNKNOWN)
