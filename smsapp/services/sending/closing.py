"""Runs are closed: verdict, the campaign's next state, its next slot. A second call does no harm."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain import funnel as numbers
from smsapp.domain import message
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Action
from smsapp.domain.funnel import Funnel
from smsapp.domain.run import (
    CancelReason,
    RunAction,
    RunFailure,
    RunState,
    RunVerdict,
)
from smsapp.domain.schedule import Schedule
from smsapp.domain.webhook import EventKind
from smsapp.services.platform import calendar
from smsapp.services.sending import budget_guard, failover, starting
from smsapp.store import queue
from smsapp.store.apps import webhook_outbox
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import lock_row, writing
from smsapp.store.runs import api_messages, claims, funnels, runs, tallies
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)


TOLD_NUMBERS = ("target", "planned", "accepted", "delivered", "refused", "unconfirmed", "parts")
"""What webhooks hear of a run that is over."""


@dataclass(frozen=True)
class Closed:
    """A run that is over, and when its campaign is due next, if ever."""

    campaign_id: int
    next_due: dt.datetime | None
    onward: int | None
    """The run that takes over the messages that this one's channel refused."""

    def enqueue_next(self) -> None:
        """Enqueue what comes next; call this after the commit."""
        if self.onward is not None:
            queue.enqueue(queue.SEND, "send", self.onward)
        if self.next_due is not None:
            starting.enqueue_when_due(self.campaign_id, self.next_due)


def close_if_over(run_id: int, now: dt.datetime) -> bool:
    """Close the run if nothing is left to do, in a transaction of its own; True if it closed."""
    with writing() as session:
        closed_run = close(session, run_id, now)
    if closed_run:
        closed_run.enqueue_next()
    return closed_run is not None


def close(session: Session, run_id: int, now: dt.datetime) -> Closed | None:
    """Close the run if nothing is left to do: verdict, the campaign's next state, its next slot."""
    run = lock_row(session, Run, run_id)
    if run is None or run.finished_at is not None or run.started_at is None:
        return None
    if run.state == RunState.ENDING:
        claims.cancel_rest(session, run_id, CancelReason(run.cancel_reason))
    if not claims.is_over(session, run_id):
        return None
    if run.state != RunState.ENDING and run.takes_until is not None and now < run.takes_until:
        return None
    api_messages.give_up(session, run_id)
    onward = failover.at_the_end(session, run, now)
    funnel = funnels.run_funnels(session, [run_id])[run_id]
    verdict = _verdict(session, run, funnel)
    runs.move(session, run_id, RunAction.CLOSE, verdict=verdict, finished_at=now)
    counts = {name: getattr(funnel, name) for name in TOLD_NUMBERS}
    webhook_outbox.note(session, EventKind.RUN_FINISHED, run.campaign_id, now, run=run_id, verdict=verdict, **counts)
    log.info("run.closed run=%s verdict=%s accepted=%s", run_id, verdict, funnel.accepted)
    closed_run = Closed(run.campaign_id, _after_run(session, run, verdict), onward)
    budget_guard.settle(session, run)  # after the campaign was locked, in the order of confirmations
    return closed_run


def _verdict(session: Session, run: Run, funnel: Funnel) -> RunVerdict:
    """Return how a run that is over ended."""
    if run.state == RunState.ENDING:
        return RunVerdict.FAILED if run.cancel_reason == CancelReason.RUN_FAILED else RunVerdict.STOPPED
    if not funnel.planned:
        return RunVerdict.NOBODY
    if not funnel.accepted and failover.is_moved(session, run.id):
        return RunVerdict.MOVED
    return RunVerdict.SENT if numbers.succeeded(funnel) else RunVerdict.FAILED


AFTERWARDS = {
    RunVerdict.SENT: Action.FINISH,
    RunVerdict.NOBODY: Action.FINISH,
    RunVerdict.FAILED: Action.FAIL,
    RunVerdict.STOPPED: Action.END,
}
"""Verdict of a campaign's last run -> the campaign's action."""


def _after_run(session: Session, run: Run, verdict: RunVerdict) -> dt.datetime | None:
    """Move the campaign on: back to waiting if another slot lies ahead, else to its last state.

    A campaign with another unfinished run stays as it is. After a run that repeats another one the campaign's own
    numbers decide, even if a person has ended that run.
    """
    # Locked, so that if two runs end at the same moment the second one sees that it is the last.
    campaign = lock_row(session, Campaign, run.campaign_id)
    if campaign is None or runs.has_other_unfinished(session, run):
        return None
    if run.repeats is not None or verdict is RunVerdict.MOVED:
        funnel = funnels.campaign_funnels(session, [campaign.id])[campaign.id]
        verdict = RunVerdict.SENT if numbers.succeeded(funnel) else RunVerdict.FAILED
    schedule = Schedule.from_json(campaign.schedule)
    failure = _failure(session, run) if verdict is RunVerdict.FAILED else ""
    due = None
    if schedule.recurring and verdict is not RunVerdict.STOPPED:
        due = schedules.next_due(schedule, runs.last_slot(session, campaign.id) or run.slot, calendar.rest_days())
    if due is not None:
        campaigns.move(session, campaign.id, Action.REST, next_due_at=due, failure=failure)
        return due
    campaigns.move(session, campaign.id, AFTERWARDS[verdict], next_due_at=None, failure=failure)
    return None


def _failure(session: Session, run: Run) -> str:
    """Return the outcome of most refused messages, or why the run was given up."""
    refused = [
        reason
        for state, reason, _n in funnels.reasons(session, [run.id])
        if state == tallies.tally_key(message.Status.REFUSED)
    ]
    if not refused and not run.failure and funnels.run_funnels(session, [run.id])[run.id].expired:
        return RunFailure.EXPIRED
    return refused[0] if refused else run.failure or RunFailure.NOTHING_ACCEPTED
