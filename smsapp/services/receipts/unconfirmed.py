"""A person's decisions about unconfirmed messages: counted as sent, sent again, or left as they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy.orm import Session

from smsapp.domain.campaign import Action
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.message import Resolution, Status
from smsapp.domain.recipients import Group, Place, Recipient
from smsapp.domain.rights import Right
from smsapp.domain.run import RunAction, RunState
from smsapp.services.platform import keyset_page
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.services.receipts import billing
from smsapp.store import queue
from smsapp.store.campaigns import campaigns
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.receipts import unconfirmed
from smsapp.store.receipts.unconfirmed import KEPT_UNCONFIRMED, Decision, RunWithUnconfirmed
from smsapp.store.runs import recipients, runs
from smsapp.store.runs.runs import Run

PAGE = 50


def listing(
    now: dt.datetime,
    *,
    campaign_id: int | None = None,
    channel_id: int | None = None,
    older_than: dt.timedelta | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> KeysetPage[RunWithUnconfirmed, int]:
    """Return the runs that have messages waiting for a decision, newest first."""
    rows = unconfirmed.page(
        current_session(),
        campaign_id=campaign_id,
        channel_id=channel_id,
        before=before,
        until=now - older_than if older_than else None,
        limit=limit + 1,
    )
    return keyset_page.cut(rows, limit, lambda row: row.run.id)


def of_run(run_id: int) -> RunWithUnconfirmed:
    """Return the run with its undecided messages; raises NotFound if there are none (any more)."""
    lines = unconfirmed.page(current_session(), run_id=run_id, limit=1)
    if not lines:
        raise NotFound("unconfirmed")
    return lines[0]


def people(run_id: int, cause: str, after: int) -> KeysetPage[Recipient, int]:
    """Return a run's unconfirmed messages after seq `after`."""
    group = Group("unconfirmed", frozenset({Status.UNCONFIRMED}), reason=cause, but=KEPT_UNCONFIRMED)
    place = Place(run_id, position=after)
    rows = recipients.page(current_session(), [run_id], group, after=place, limit=PAGE + 1)
    return keyset_page.cut(rows, PAGE, lambda row: row.position)


def total() -> int:
    """Return how many messages of all campaigns wait for a decision."""
    return unconfirmed.total(current_session())


def decisions(run_id: int, seq: int) -> Sequence[Decision]:
    """Return what people decided about one message, newest first."""
    return unconfirmed.decisions(current_session(), run_id, seq)


def decide(
    run_id: int,
    how: Resolution,
    actor: Actor,
    now: dt.datetime,
    *,
    cause: str = "",
    seqs: Sequence[int] | None = None,
    seen: int | None = None,
) -> int:
    """Decide about these messages, or all undecided ones of the run (with this cause); return how many.

    `seen` is the number the person was shown; raises Conflict if it has changed, or if somebody else was first.
    Messages to send again are queued in the same run, which goes on; raises Refusal if its campaign was stopped.
    """
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        run = lock_row(session, Run, run_id)
        if run is None:
            raise NotFound("run")
        if seqs is None and seen is not None and seen != _open_now(session, run_id, cause):
            raise Conflict(run=run_id)
        if how is Resolution.RESEND:
            _go_on(session, run)
        if how is Resolution.COUNT_AS_SENT:
            billing.fill(session, run_id, *unconfirmed.open_messages(run_id, cause, seqs))
        n = unconfirmed.settle(session, run_id, how, cause, seqs, actor.name, now)
        if not n:
            raise Conflict(run=run_id)
        log_action(session, actor, f"doubt_{how}", "run", run_id, now, n=n, **({"cause": cause} if cause else {}))
    if how is Resolution.RESEND:
        queue.enqueue(queue.SEND, "send", run_id)
    return n


def _open_now(session: Session, run_id: int, cause: str) -> int:
    lines = unconfirmed.page(session, run_id=run_id, limit=1)
    causes = lines[0].causes if lines else {}
    return causes.get(cause, 0) if cause else sum(causes.values())


def _go_on(session: Session, run: Run) -> None:
    """Reopen a run that is over, and its campaign; do nothing to an unfinished run."""
    if run.state in {RunState.SENDING, RunState.HELD}:
        return
    campaign = campaigns.find(session, run.campaign_id)
    if run.state != RunState.DONE or campaign is None or campaign.status == CampaignStatus.STOPPED:
        raise Refusal(Problem("run_cannot_go_on"))
    if campaign.status != CampaignStatus.SENDING:
        campaigns.move(session, campaign.id, Action.RETRY, next_due_at=None, failure="")
    runs.move(session, run.id, RunAction.REOPEN, **runs.UNHELD, verdict="", finished_at=None)
