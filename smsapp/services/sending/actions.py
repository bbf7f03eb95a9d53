"""What people do to a run: pause, resume, move and end it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable

from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.run import (
    HOLD_RULES,
    CancelReason,
    HoldReason,
    RunAction,
    RunState,
)
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import budget_guard, closing, failover
from smsapp.services.templates import approvals, registration_guard
from smsapp.store import queue
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims, runs
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)


def pause(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Hold a run until a person resumes it; calls in flight are completed. Raises Conflict if it cannot be held."""
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        if not runs.pause(session, run_id, now):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "pause", "run", run_id, now)


def resume(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Let a held run go on with exactly the messages that were not sent.

    Raises Conflict if it is not held, Refusal if its template is not the confirmed one: a person has to accept it
    first. If nobody can tell which of its messages were sent before a restore, they become unconfirmed; Refusal if
    the list of them is lost.
    """
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or run.state != RunState.HELD:
            raise Conflict(run=run_id)
        approvals.check_resumed(session, run)
        registration_guard.check_resumed(session, run, now)
        budget_guard.resume(session, run, now)
        if HOLD_RULES[HoldReason(run.hold_reason)].may_have_left:
            if run.started_at is None:
                raise Refusal(Problem("restored_unfrozen"))
            runs.lock_runs(session, [run_id])
            claims.unconfirm_queued(session, run_id)
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "resume", "run", run_id, now)
    queue.enqueue(queue.SEND, "send", run_id)


def reroute(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Move the unsent part of a held run to the other channel with `failover.move`, and close the run if it is over."""
    require(actor, Right.RUNS_CONTROL)
    failover.move(run_id, actor, now)
    closing.close_if_over(run_id, now)


def end(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Cancel unsent messages and wait for those in flight. Raises Conflict if the run is over already."""
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or not runs.move(
            session, run_id, RunAction.END, cancel_reason=CancelReason.ENDED, hold_reason=""
        ):
            raise Conflict(run=run_id)
        runs.start_unfrozen(session, run_id, now)
        audit_log.log_action(session, actor, "end", "run", run_id, now)
    closing.close_if_over(run_id, now)


def to_each_run(
    campaign_id: int, act: Callable[[int, Actor, dt.datetime], None], actor: Actor, now: dt.datetime
) -> list[int]:
    """Pause, resume or end every unfinished run of the campaign; return the ids of the changed runs.

    Raises Conflict if none of them could be changed.
    """
    require(actor, Right.RUNS_CONTROL)
    run_ids: list[int] = []
    for run in runs.of_campaign(current_session(), campaign_id):
        if run.finished_at is None:
            with contextlib.suppress(Conflict):
                act(run.id, actor, now)
                run_ids.append(run.id)
    if not run_ids:
        raise Conflict(campaign=campaign_id)
    return run_ids
