"""The periodic repair of what lost Redis entries and dead workers left behind."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence

from smsapp.domain.run import (
    HOLD_RULES,
    CancelReason,
    HoldReason,
    RunAction,
    RunState,
)
from smsapp.services.receipts import billing
from smsapp.services.sending import closing, failover, recovery, single_messages, starting, time_limits
from smsapp.store import last_checks, queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.last_checks import Check
from smsapp.store.receipts import state_changes
from smsapp.store.runs import api_messages, claims, funnels, runs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

RENEW_AHEAD = dt.timedelta(minutes=10)
"""How far ahead the sweep renews the scheduler's entries, so that entries Redis lost are back before they are due."""


def sweep(now: dt.datetime) -> None:
    """Repair what lost Redis entries and dead workers left behind. Every state that waits has a line here."""
    recovery.mirror_mark()
    with writing() as session:
        for run_id, ranges in claims.expire_leases(session, now).items():
            log.warning("lease.lost run=%s", run_id)
            billing.after_lost_batches(session, run_id, ranges)
        runs.resume_due(session, now)
    _each("start", campaigns.due(current_session(), now), lambda campaign_id: starting.start(campaign_id, now))
    for campaign in campaigns.due_between(current_session(), now, now + RENEW_AHEAD, 1000):
        if campaign.next_due_at is not None:
            starting.enqueue_when_due(campaign.id, campaign.next_due_at)
    _each("run", [run.id for run in runs.unfinished(current_session())], lambda run_id: _sweep_run(run_id, now))
    cutoff = now - dt.timedelta(hours=settings().RECEIPT_HOURS)
    _each("receipts", runs.waiting_for_receipts(current_session(), cutoff), _close_without_receipt)
    if single_messages.has_work(now):
        single_messages.ring()
    last_checks.note(Check.SWEEP, now)


def _each(noun: str, ids: Sequence[int], step: Callable[[int], object]) -> None:
    """Take the step for each id; one that fails is logged and does not keep the others waiting."""
    for row_id in ids:
        try:
            step(row_id)
        except Exception:
            log.exception("sweep.failed %s=%s", noun, row_id)


def _close_without_receipt(run_id: int) -> None:
    with writing() as session:
        state_changes.close_without_receipt(session, run_id)


def _sweep_run(run_id: int, now: dt.datetime) -> None:
    if closing.close_if_over(run_id, now):
        return
    if time_limits.expire(run_id, now):
        closing.close_if_over(run_id, now)
        return
    run = current_session().get(Run, run_id, populate_existing=True)
    if run is None:
        return
    if failover.may_concern(run, current_session().get(Campaign, run.campaign_id)) and failover.look(run_id, now):
        closing.close_if_over(run_id, now)
        return
    if run.state in {RunState.OPEN, RunState.SENDING}:
        queue.enqueue_unless_waiting(queue.SEND, "send", run_id)
    elif run.state == RunState.HELD and HOLD_RULES[HoldReason(run.hold_reason)].ends_the_run:
        _give_up_after_grace(run, now)


def _give_up_after_grace(run: Run, now: dt.datetime) -> None:
    """Fail a run that nobody has resumed within the grace and of which nothing was accepted; the campaign says why.

    Single messages that have joined it since wait for a run of their own, and for a grace of their own.
    """
    with writing() as session:
        campaign = session.get(Campaign, run.campaign_id)
        funnel = funnels.run_funnels(session, [run.id])[run.id]
        grace = dt.timedelta(minutes=campaign.grace_minutes if campaign else 0)
        if funnel.accepted or now < (run.held_at or run.slot) + grace:
            return
        unchanged, reason = Run.hold_reason == run.hold_reason, run.hold_reason
        ending = {"cancel_reason": CancelReason.RUN_FAILED, "failure": reason, "hold_reason": ""}
        if runs.move(session, run.id, RunAction.GIVE_UP, unchanged, **ending):
            log.warning("run.given_up run=%s reason=%s", run.id, reason)
            runs.start_unfrozen(session, run.id, now)
            api_messages.release(session, run.id, now - grace)
    closing.close_if_over(run.id, now)
