"""Limits in time of a run: what has not left by its `valid_until` expires, and its own rate spreads what leaves."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain import own_rate
from smsapp.domain import schedule as schedules
from smsapp.domain.quiet import QuietHours
from smsapp.domain.run import HOLD_RULES, CancelReason, HoldReason, RunAction, RunFailure, RunState
from smsapp.domain.schedule import Schedule
from smsapp.services.sending import closing
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import lock_row, writing
from smsapp.store.runs import claims, runs
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.runs import Run

log = logging.getLogger(__name__)


def expire(run_id: int, now: dt.datetime) -> bool:
    """Let what has not left of a run expire if its time is over, and close the run once nothing is in flight.

    Return False if its time is not over or it is over already. A held run expires as well; if its messages may have
    left (after a restore) they become unconfirmed instead. A run that was held before its audience was frozen fails.
    """
    with writing() as session:
        run = lock_row(session, Run, run_id)
        if run is None or run.finished_at is not None or run.valid_until is None or now < run.valid_until:
            return False
        if run.started_at is None:
            return _give_up_unfrozen(session, run, now)
        if run.state == RunState.HELD and HOLD_RULES[HoldReason(run.hold_reason)].may_have_left:
            claims.unconfirm_queued(session, run_id)
        n = claims.expire_rest(session, run_id)
        if n:
            log.warning("run.expired run=%s n=%s", run_id, n)
    closing.close_if_over(run_id, now)
    return True


def _give_up_unfrozen(session: Session, run: Run, now: dt.datetime) -> bool:
    """Fail a held run without a frozen audience; one that is open is frozen first and expires then."""
    ending = {"cancel_reason": CancelReason.RUN_FAILED, "failure": RunFailure.EXPIRED, "hold_reason": ""}
    if not runs.move(session, run.id, RunAction.GIVE_UP, **ending):
        return False
    runs.start_unfrozen(session, run.id, now)
    return True


def even_rate(campaign: Campaign, run: Run, messages: int, hours: QuietHours | None, now: dt.datetime) -> float | None:
    """Return the rate at which a run that is frozen now sends evenly; None if it sends at full speed."""
    schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
    end = schedules.spread_end(schedule, run.slot) if run.repeats is None else None
    begin = (hours.over_at(now) if hours else None) or now
    return own_rate.even_rate(messages, begin, end) if end is not None else None


@dataclass(frozen=True)
class Claim:
    """Who claims, until when its lease lasts, and of which runs a claim may take how many messages at most."""

    claim_id: str
    lease_until: dt.datetime
    sizes: dict[int, int]


def claim_at_own_rate(session: Session, run_id: int, claim: Claim, now: dt.datetime) -> list[ClaimedBatch]:
    """Claim as many messages of a run as its own rate allows now; [] if none, or if another sender just claims some."""
    run = lock_row(session, Run, run_id, skip_locked=True)
    if run is None or run.own_rate is None or run.rated_at is None:
        return []
    most = own_rate.allowance(run.own_rate, run.rated_at, now)
    if not most:
        return []
    sizes = {run_id: min(most, claim.sizes.get(run_id, most))}
    batches = claims.claim_batches(session, [run_id], 0, claim.claim_id, claim.lease_until, 1, sizes)
    for batch in batches:
        run.rated_at = own_rate.used(run.own_rate, run.rated_at, now, len(batch.rows))
    return batches
