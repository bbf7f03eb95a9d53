"""The budget guard: what a month's budget does not hold neither is confirmed nor leaves.

A confirmation reserves the estimate; the freeze replaces that by what the run exactly is; what was sent settles it when
the run is over, and unconfirmed messages count as spent.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from smsapp.domain import budget as rules
from smsapp.domain.approval import Estimate
from smsapp.domain.budget import BudgetUnit
from smsapp.domain.cost import cost_of
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.run import HoldReason
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.sending.held_back import HeldBack
from smsapp.services.sending.run_size import size_of
from smsapp.store import budgets as store
from smsapp.store.budgets import UNSTARTED
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import beside, keep_row, lock_row
from smsapp.store.runs import billed_parts, runs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings


def month_of(moment: dt.datetime) -> str:
    """Return the month to whose budgets this moment belongs, in the product's zone."""
    return rules.month_of(moment, settings().DEFAULT_ZONE)


def reserve_campaign(session: Session, campaign: Campaign, estimate: Estimate | None, begins: dt.datetime) -> None:
    """Reserve the estimate of a campaign that is confirmed here; raises Refusal if a budget is too small.

    `estimate` None: there was no budget when it was estimated.
    """
    if estimate is None:
        if store.are_there(session):
            raise Refusal(Problem("budget_new"))
        return
    store.lock(session, campaign.id, campaign.channel_id, campaign.created_by)
    store.release_unstarted(session, campaign.id)
    if not _reserve(session, campaign, campaign.channel_id, UNSTARTED, estimate, month_of(begins)):
        raise Refusal(Problem("budget_exceeded"))


def reserve_run(session: Session, campaign: Campaign, run: Run, size: Estimate, now: dt.datetime) -> None:
    """Reserve what the run just frozen exactly is, in place of its estimate; raises HeldBack if that is too much.

    A freeze that fails after this, and is done again, takes the place of what it has reserved.
    """
    with beside(session) as own:
        keep_row(own, Campaign, campaign.id)
        store.lock(own, campaign.id, run.channel_id, campaign.created_by)
        if run.repeats is None:
            store.release_unstarted(own, campaign.id)
        for row in store.of_run(own, campaign.id, run.id):
            store.lessen(own, row, row.reserved)
        if not _reserve(own, campaign, run.channel_id, run.id, size, month_of(now)):
            raise HeldBack(HoldReason.BUDGET, size)


def reserve_more(session: Session, campaign: Campaign, run: Run, size: Estimate, now: dt.datetime) -> None:
    """Reserve what was just added to a run that is frozen; raises HeldBack if that is too much."""
    keep_row(session, Campaign, campaign.id)
    store.lock(session, campaign.id, run.channel_id, campaign.created_by)
    if not _reserve(session, campaign, run.channel_id, run.id, size, month_of(now)):
        raise HeldBack(HoldReason.BUDGET, size)


def _reserve(
    session: Session, campaign: Campaign, channel_id: int | None, run_id: int, size: Estimate, month: str
) -> bool:
    """Reserve this size of every budget that concerns it; False (then roll back) if one of them is too small.

    The budgets are locked.
    """
    for row in store.concerning(session, channel_id, campaign.created_by):
        n = rules.units(size, BudgetUnit(row.unit), row.currency)
        if n is None or (n and not store.reserve(session, row.id, month, campaign.id, run_id, n)):
            return False
    return True


def follow(session: Session, campaign: Campaign, run: Run, onward: Run, now: dt.datetime) -> None:
    """Move the reservation with messages that fail over; the new run is held if its channel's budget is too small."""
    if not store.are_there(session):
        return
    size = size_of(session, onward.id, onward.snapshot, onward.planned)
    moved = size_of(session, onward.id, run.snapshot, onward.planned)
    lock_row(session, Campaign, campaign.id)
    store.lock(session, campaign.id, onward.channel_id, campaign.created_by)
    for row in store.of_run(session, campaign.id, run.id):
        budget = session.get_one(store.Budget, row.budget_id)
        store.lessen(session, row, rules.units(moved, BudgetUnit(budget.unit), budget.currency) or 0)
    reserved = session.begin_nested()
    if _reserve(session, campaign, onward.channel_id, onward.id, size, month_of(now)):
        reserved.commit()
    else:
        reserved.rollback()
        runs.hold(session, onward.id, HoldReason.BUDGET, None, now)


def resume(session: Session, run: Run, now: dt.datetime) -> None:
    """Reserve for a run that was held after its freeze because of a budget; raises Refusal if it still is too small."""
    if run.hold_reason != HoldReason.BUDGET or run.started_at is None:
        return
    lock_row(session, Run, run.id)
    if run.hold_reason != HoldReason.BUDGET:
        raise Conflict(run=run.id)
    campaign = session.get_one(Campaign, run.campaign_id)
    keep_row(session, Campaign, campaign.id)
    store.lock(session, campaign.id, run.channel_id, campaign.created_by)
    size = size_of(session, run.id, run.snapshot, run.planned)
    if not _reserve(session, campaign, run.channel_id, run.id, size, month_of(now)):
        raise Refusal(Problem("budget_exceeded"))


def settle(session: Session, run: Run) -> None:
    """Count what a run that is over has sent as spent, and release the rest of what it had reserved."""
    store.lock(session, run.campaign_id, None, None)
    if run.repeats is None:
        store.release_unstarted(session, run.campaign_id)
    rows = store.of_run(session, run.campaign_id, run.id)
    if not rows:
        return
    size = spent_by(session, run.id, run.snapshot)
    for row in rows:
        budget = session.get_one(store.Budget, row.budget_id)
        store.settle(session, row, rules.units(size, BudgetUnit(budget.unit), budget.currency) or 0)


def spent_by(session: Session, run_id: int, snapshot: RunSnapshot) -> Estimate:
    """Return what a run has sent so far, its unconfirmed messages included."""
    parts = billed_parts.accepted(session, run_id) + billed_parts.unconfirmed(session, run_id)
    cost = cost_of(parts, snapshot.price, snapshot.currency)
    return Estimate(0, cost.parts, cost.amount, cost.currency)
