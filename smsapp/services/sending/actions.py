"""What people do to a run: pause, resume, move and end it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable

from smsapp.domain.errors import Conflict
from smsapp.domain.run import (
    CancelReason,
    RunAction,
    RunState,
)
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import closing, failover
from smsapp.services.templates import approvals
from smsapp.store import queue
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)


def pause(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Hold a run until a person resumes it; calls in flight are completed. Raises Conflict if it cannot be held."""
    with writing() as session:
        if not runs.pause(session, run_id, now):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "pause", "run", run_id, now)


def resume(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Let a held run go on with exactly the messages that were not sent.

    Raises Conflict if it is not held, Refusal if its template is not the confirmed one: a person has to accept it
    first.
    """
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or run.state != RunState.HELD:
            raise Conflict(run=run_id)
        approvals.check_resumed(session, run)
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "resume", "run", run_id, now)
    queue.enqueue(queue.SEND, "send", run_id)


def reroute(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Move the unsent part of a held run to the other channel with `failover.move`, and close the run if it is over."""
    failover.move(run_id, actor, now)
    closing.close_if_over(run_id, now)


def end(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Cancel unsent messages and wait for those in flight. Raises Conflict if the run is over already."""
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
    run_ids: list[int] = []
    for run in runs.of_campaign(current_session(), campaign_id):
        if run.finished_at is None:
            with contextlib.suppress(Conflict):
                act(run.id, actor, now)
                run_ids.append(run.id)
    if not run_ids:
        raise Conflict(campaign=campaign_id)
    return run_ids
