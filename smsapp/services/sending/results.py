"""The write-back: the results of batches are stored, and their runs go on, are held or are closed accordingly.

All finished batches of a sender are written in one transaction: when the database is busy there are more of them in
one, and each is cheaper.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from smsapp.channels.base import AccountError, Channel, ChannelError, Throttled
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
"""Seconds to wait after the first, second ... loss of answers in a row: each try may leave a message unconfirmed."""
BACK_OFF = (2, 5, 15, 30, 60, 120, 300)
"""Seconds to wait after the first, second ... call in a row that did not reach the provider."""


@dataclass(eq=False)
class InFlightBatch:
    """A batch in flight, and its results so far."""

    batch: ClaimedBatch
    channel_id: int
    adapter: Channel
    troubled: bool
    """The run's latest calls did not reach the provider; to be reset once one does."""
    answers: list[MessageResult] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    taken: int = 0
    """Messages the provider accepted in the second before it asked to slow down."""
    refused: int = 0
    """Messages of the request that it then refused."""
    trouble: ChannelError | None = None
    fault: bool = False
    """Its texts could not be rendered: a fault of ours, so a person has to look."""
    written: int = 0
    """How many of the answers have been written back early."""
    written_at: float = 0.0
    """Loop time of the last early write-back, or of its start."""
    under_way: bool = False
    """More answers are to come: only the answers so far are written back."""

    @property
    def unwritten(self) -> list[MessageResult]:
        return self.answers[self.written :]

    def so_far(self) -> InFlightBatch:
        """Return a copy for an early write-back."""
        return replace(
            self, answers=self.answers[:], calls=self.calls.take(), trouble=None, fault=False, under_way=True
        )

    @property
    def run_id(self) -> int:
        return self.batch.run_id


def write_back(carried_batches: Sequence[InFlightBatch], now: dt.datetime) -> None:
    """Store the results of these batches, hold their runs if needed, and close those that are over."""
    # In the order of runs, because otherwise two senders could deadlock.
    carried_batches = sorted(carried_batches, key=lambda carried: carried.run_id)
    prepared = [
        ledger.prepare_results(
            carried.batch, carried.unwritten, carried.answers[: carried.written], under_way=carried.under_way
        )
        for carried in carried_batches
    ]
    run_ids = dict.fromkeys(carried.run_id for carried in carried_batches if not carried.under_way)
    with writing() as session:
        ledger.write_back(session, prepared, int(now.timestamp()))
        for results in prepared:
            if results.unsent:  # a receipt may have come for a message that is reported as unsent
                billing.bill_messages(session, results.batch.run_id, results.unsent)
        channel_ids = {carried.channel_id for carried in carried_batches if _follow(session, carried, now)}
        ended_ids = [run_id for run_id in run_ids if ledger.may_be_over(session, run_id)]
        closed_runs = [lifecycle.settle(session, run_id, now) for run_id in ended_ids]
        # Last, because all workers of a channel count into the same hour.
        for carried in sorted(carried_batches, key=lambda carried: carried.channel_id):
            call_log.write_down(session, carried.channel_id, carried.adapter, carried.calls, now)
    for closed_run in closed_runs:
        if closed_run:
            closed_run.ring()
    # After the commit: unmatched receipts that came meanwhile may match now.
    if channel_ids and unmatched.has_some(current_session(), channel_ids, now - consumer.QUICK):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def _follow(session: Session, carried: InFlightBatch, now: dt.datetime) -> bool:
    """Store provider ids and opt-outs of the answers, hold the run if its channel failed; return if there are ids."""
    answers, refs = carried.unwritten, []
    if carried.adapter.receipts_by_provider_ref:
        phones = {seq: phone for seq, phone, _params in carried.batch.rows}
        refs = [(answer.provider_ref, phones[answer.seq], answer.seq) for answer in answers if answer.provider_ref]
        provider_refs.remember(session, carried.channel_id, carried.run_id, refs, int(now.timestamp()))
    opted_out = [(carried.run_id, answer.seq) for answer in answers if answer.reason == Outcome.OPTED_OUT]
    if opted_out:
        opt_outs.record_told(session, opted_out, now)
    if carried.fault:
        runs.hold(session, carried.run_id, HoldReason.FAULT, None, now, Run.state == RunState.SENDING)
    elif carried.trouble is not None:
        _hold(session, carried, carried.trouble, now)
    elif answers and carried.troubled:
        runs.note_success(session, carried.run_id)
    return bool(refs)


def _hold(session: Session, carried: InFlightBatch, trouble: ChannelError, now: dt.datetime) -> None:
    """Hold the run for the channel's error; its kind decides why and how long."""
    run_id = carried.run_id
    run = session.get(Run, run_id, populate_existing=True)
    if run is None or run.state != RunState.SENDING:
        return
    failures, since = run.failures + (0 if isinstance(trouble, Throttled) else 1), run.troubled_at or now
    log.warning("channel.trouble run=%s kind=%s code=%s", run_id, type(trouble).__name__, trouble.code)
    if isinstance(trouble, AccountError):
        reason, until = account_hold(trouble.outcome), None
    elif isinstance(trouble, Throttled):
        reason, until = HoldReason.THROTTLED, now + _slowed_down(session, carried, trouble, now)
    elif isinstance(trouble, NoAnswers):
        wait = NO_ANSWERS_BACK_OFF[min(failures, len(NO_ANSWERS_BACK_OFF)) - 1]
        reason, until = HoldReason.NO_ANSWERS, now + dt.timedelta(seconds=wait)
    else:
        wait = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        reason, until = HoldReason.UNREACHABLE, now + dt.timedelta(seconds=wait)
    is_sending = Run.state == RunState.SENDING
    runs.hold(session, run_id, reason, until, now, is_sending, failures=failures, troubled_at=since)


def _slowed_down(session: Session, carried: InFlightBatch, trouble: ChannelError, now: dt.datetime) -> dt.timedelta:
    """Slow the channel down, unless it was refused for marketing hours; return how long its run waits."""
    seconds = trouble.retry_after
    if trouble.outcome is not Outcome.OUTSIDE_HOURS:
        pace = paces.slow_down(session, carried.channel_id, carried.taken, carried.refused, now, seconds)
        seconds = max(0.0, (pace.since - now).total_seconds()) if seconds is None else seconds
    return dt.timedelta(seconds=seconds or BACK_OFF[0])
