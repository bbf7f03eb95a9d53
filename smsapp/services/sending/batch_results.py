"""The write-back: the results of batches are stored, and their runs go on, are held or are closed accordingly.

All finished batches of a sender are written in one transaction: when the database is busy there are more of them in
one, and each is cheaper.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from sqlalchemy.orm import Session

from smsapp.channels.errors import AccountError, ChannelError, Throttled
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import HoldReason, RunState, account_hold
from smsapp.services.channels import provider_calls
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import billing, unmatched_retry
from smsapp.services.sending import closing
from smsapp.services.sending.brake import NoAnswers
from smsapp.services.sending.in_flight_batch import InFlightBatch
from smsapp.store import queue
from smsapp.store.channels import paces
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.runs import claims, provider_refs, runs
from smsapp.store.runs import results as store
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)

NO_ANSWERS_BACK_OFF = (30, 60, 120, 300)
"""Seconds to wait after the first, second ... loss of answers in a row: each try may leave a message unconfirmed."""
BACK_OFF = (2, 5, 15, 30, 60, 120, 300)
"""Seconds to wait after the first, second ... call in a row that did not reach the provider."""


def store_results(batches: Sequence[InFlightBatch], now: dt.datetime) -> None:
    """Store the results of these batches, hold their runs if needed, and close those that are over."""
    # In the order of runs, because otherwise two senders could deadlock.
    batches = sorted(batches, key=lambda batch: batch.run_id)
    prepared = [
        store.prepare_results(batch.batch, batch.unstored, batch.results[: batch.stored], under_way=batch.incomplete)
        for batch in batches
    ]
    run_ids = dict.fromkeys(batch.run_id for batch in batches if not batch.incomplete)
    with writing() as session:
        store.write_back(session, prepared, int(now.timestamp()))
        for results in prepared:
            if results.unsent:  # a receipt may have come for a message that is reported as unsent
                billing.bill_messages(session, results.batch.run_id, results.unsent)
        channel_ids = {batch.channel_id for batch in batches if _store_refs(session, batch, now)}
        for batch in batches:
            _store_opt_outs(session, batch, now)
            _hold_or_note_success(session, batch, now)
        ended_ids = [run_id for run_id in run_ids if claims.may_be_over(session, run_id)]
        closed_runs = [closing.close(session, run_id, now) for run_id in ended_ids]
        # Last, because all workers of a channel count into the same hour.
        for batch in sorted(batches, key=lambda batch: batch.channel_id):
            provider_calls.write_down(session, batch.channel_id, batch.adapter, batch.calls, now)
    for closed_run in closed_runs:
        if closed_run:
            closed_run.enqueue_next()
    # After the commit: unmatched receipts that came meanwhile may match now.
    if channel_ids and unmatched.has_some(current_session(), channel_ids, now - unmatched_retry.QUICK):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def _store_refs(session: Session, batch: InFlightBatch, now: dt.datetime) -> bool:
    """Store the provider ids of the results, for channels whose receipts name only these; return whether there are."""
    if not batch.adapter.receipts_by_provider_ref:
        return False
    phones = {seq: phone for seq, phone, _params in batch.batch.rows}
    refs = [(result.provider_ref, phones[result.seq], result.seq) for result in batch.unstored if result.provider_ref]
    provider_refs.store_refs(session, batch.channel_id, batch.run_id, refs, int(now.timestamp()))
    return bool(refs)


def _store_opt_outs(session: Session, batch: InFlightBatch, now: dt.datetime) -> None:
    opted_out = [(batch.run_id, result.seq) for result in batch.unstored if result.reason == Outcome.OPTED_OUT]
    if opted_out:
        opt_outs.record_told(session, opted_out, now)


def _hold_or_note_success(session: Session, batch: InFlightBatch, now: dt.datetime) -> None:
    if batch.render_failed:
        runs.hold(session, batch.run_id, HoldReason.FAULT, None, now, Run.state == RunState.SENDING)
    elif batch.error is not None:
        _hold(session, batch, batch.error, now)
    elif batch.unstored and batch.after_failures:
        runs.clear_failures(session, batch.run_id)


def _hold(session: Session, batch: InFlightBatch, error: ChannelError, now: dt.datetime) -> None:
    """Hold the run for the channel's error; its kind decides why and how long."""
    run_id = batch.run_id
    run = session.get(Run, run_id, populate_existing=True)
    if run is None or run.state != RunState.SENDING:
        return
    failures, since = run.failures + (0 if isinstance(error, Throttled) else 1), run.troubled_at or now
    log.warning("channel.error run=%s kind=%s code=%s", run_id, type(error).__name__, error.code)
    if isinstance(error, AccountError):
        reason, until = account_hold(error.outcome), None
    elif isinstance(error, Throttled):
        reason, until = HoldReason.THROTTLED, now + _slow_down(session, batch, error, now)
    elif isinstance(error, NoAnswers):
        seconds = NO_ANSWERS_BACK_OFF[min(failures, len(NO_ANSWERS_BACK_OFF)) - 1]
        reason, until = HoldReason.NO_ANSWERS, now + dt.timedelta(seconds=seconds)
    else:
        seconds = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        reason, until = HoldReason.UNREACHABLE, now + dt.timedelta(seconds=seconds)
    is_sending = Run.state == RunState.SENDING
    runs.hold(session, run_id, reason, until, now, is_sending, failures=failures, troubled_at=since)


def _slow_down(session: Session, batch: InFlightBatch, error: ChannelError, now: dt.datetime) -> dt.timedelta:
    """Slow the channel down, unless it refused for marketing hours; return how long its run waits."""
    seconds = error.retry_after
    if error.outcome is not Outcome.OUTSIDE_HOURS:
        accepted, refused = batch.accepted_before_throttling, batch.throttled_size
        pace = paces.slow_down(session, batch.channel_id, accepted, refused, now, seconds)
        seconds = max(0.0, (pace.since - now).total_seconds()) if seconds is None else seconds
    return dt.timedelta(seconds=seconds or BACK_OFF[0])
