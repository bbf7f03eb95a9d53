"""The last step of a batch: what it came to is stored, and its run goes on, is held or is closed accordingly.

All in one transaction, together with whatever else of the sender is done by then: when the database is busy there are
more of them at a time, and each is cheaper.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError, Throttled
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import HoldReason, RunState, account_hold
from smsapp.services.channels import call_log
from smsapp.services.channels.call_log import Calls
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import billing, consumer
from smsapp.services.sending import lifecycle
from smsapp.services.sending.brake import NoAnswers
from smsapp.store import queue
from smsapp.store.channels import paces
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.runs import ledger, provider_refs, runs
from smsapp.store.runs.ledger import ClaimedBatch, MessageResult
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)

NO_ANSWERS_BACK_OFF = (30, 60, 120, 300)
"""Seconds to wait after the first, second ... time that answers were lost in a row: each try may put one
unconfirmed."""
BACK_OFF = (2, 5, 15, 30, 60, 120, 300)
"""Seconds to wait after the first, second ... call in a row that reached nobody."""


@dataclass(eq=False)
class InFlightBatch:
    """A batch in a sender's hands, and what it has come to so far."""

    batch: ClaimedBatch
    channel_id: int
    adapter: Channel
    troubled: bool
    """The run's latest calls reached nobody; to be forgotten once one does."""
    answers: list[MessageResult] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    taken: int = 0
    """Messages the provider took in the second before it asked to slow down."""
    refused: int = 0
    """Messages of the request to which it said so."""
    trouble: ChannelError | None = None
    fault: bool = False
    """Its texts could not be made: a mistake of ours, so a person has to look."""
    written: int = 0
    """How many of the answers have been written back while it was under way."""
    written_at: float = 0.0
    """When (loop time) it began, or that was done last."""
    under_way: bool = False
    """More answers are to come: those that are here are written back, and nothing else yet."""

    @property
    def unwritten(self) -> list[MessageResult]:
        return self.answers[self.written :]

    def so_far(self) -> InFlightBatch:
        """Return what there is to be written back while it is under way."""
        return replace(
            self, answers=self.answers[:], calls=self.calls.take(), trouble=None, fault=False, under_way=True
        )

    @property
    def run_id(self) -> int:
        return self.batch.run_id


def write_back(done: Sequence[InFlightBatch], now: dt.datetime) -> None:
    """Store what these batches came to, and what it means for their runs; close those that are over."""
    # Run by run in order, because two senders that wait for each other would deadlock.
    done = sorted(done, key=lambda one: one.run_id)
    gathered = [
        ledger.prepare_results(one.batch, one.unwritten, one.answers[: one.written], under_way=one.under_way)
        for one in done
    ]
    run_ids = dict.fromkeys(one.run_id for one in done if not one.under_way)
    with writing() as session:
        ledger.write_back(session, gathered, int(now.timestamp()))
        for results in gathered:
            if results.unsent:  # a receipt may have come for what is said not to have left
                billing.bill_messages(session, results.batch.run_id, results.unsent)
        told = {one.channel_id for one in done if _follow(session, one, now)}
        over = [run_id for run_id in run_ids if ledger.may_be_over(session, run_id)]
        closed = [lifecycle.settle(session, run_id, now) for run_id in over]
        # Last, because all workers of a channel count into the same hour.
        for one in sorted(done, key=lambda one: one.channel_id):
            call_log.write_down(session, one.channel_id, one.adapter, one.calls, now)
    for it in closed:
        if it:
            it.ring()
    # After the commit: whoever has kept a receipt since looks for its message once more.
    if told and unmatched.has_some(current_session(), told, now - consumer.QUICK):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def _follow(session: Session, one: InFlightBatch, now: dt.datetime) -> bool:
    """Keep what else the answers said, and hold the run if its channel is in trouble; say if ids are known now."""
    answers, refs = one.unwritten, []
    if one.adapter.receipts_by_provider_ref:
        phones = {seq: phone for seq, phone, _params in one.batch.rows}
        refs = [(answer.provider_ref, phones[answer.seq], answer.seq) for answer in answers if answer.provider_ref]
        provider_refs.remember(session, one.channel_id, one.run_id, refs, int(now.timestamp()))
    gone = [(one.run_id, answer.seq) for answer in answers if answer.reason == Outcome.OPTED_OUT]
    if gone:
        opt_outs.record_told(session, gone, now)
    if one.fault:
        runs.hold(session, one.run_id, HoldReason.FAULT, None, now, Run.state == RunState.SENDING)
    elif one.trouble is not None:
        _hold(session, one, one.trouble, now)
    elif answers and one.troubled:
        runs.note_success(session, one.run_id)
    return bool(refs)


def _hold(session: Session, one: InFlightBatch, trouble: ChannelError, now: dt.datetime) -> None:
    """Hold the run as the channel's trouble asks for."""
    run_id = one.run_id
    run = session.get(Run, run_id, populate_existing=True)
    if run is None or run.state != RunState.SENDING:
        return
    failures, since = run.failures + (0 if isinstance(trouble, Throttled) else 1), run.troubled_at or now
    log.warning("channel.trouble run=%s kind=%s code=%s", run_id, type(trouble).__name__, trouble.code)
    if isinstance(trouble, AccountError):
        reason, until = account_hold(trouble.outcome), None
    elif isinstance(trouble, Throttled):
        reason, until = HoldReason.THROTTLED, now + _slowed_down(session, one, trouble, now)
    elif isinstance(trouble, NoAnswers):
        wait = NO_ANSWERS_BACK_OFF[min(failures, len(NO_ANSWERS_BACK_OFF)) - 1]
        reason, until = HoldReason.NO_ANSWERS, now + dt.timedelta(seconds=wait)
    else:
        wait = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        reason, until = HoldReason.UNREACHABLE, now + dt.timedelta(seconds=wait)
    going = Run.state == RunState.SENDING
    runs.hold(session, run_id, reason, until, now, going, failures=failures, troubled_at=since)


def _slowed_down(session: Session, one: InFlightBatch, trouble: ChannelError, now: dt.datetime) -> dt.timedelta:
    """Slow the channel down and return how long its run waits; the hours for marketing say nothing about its pace."""
    seconds = trouble.retry_after
    if trouble.outcome is not Outcome.OUTSIDE_HOURS:
        pace = paces.slow_down(session, one.channel_id, one.taken, one.refused, now, seconds)
        seconds = max(0.0, (pace.since - now).total_seconds()) if seconds is None else seconds
    return dt.timedelta(seconds=seconds or BACK_OFF[0])
