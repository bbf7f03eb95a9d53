"""Runs are started at their slot: the campaign begins to send and the run is inserted, once."""

from __future__ import annotations

import datetime as dt
import logging

from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Action, Status
from smsapp.domain.run import RunFailure
from smsapp.domain.schedule import Schedule
from smsapp.services.platform import calendar, clock
from smsapp.services.sending import recovery
from smsapp.store import budgets, queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import lock_row, writing
from smsapp.store.runs import runs

log = logging.getLogger(__name__)


def start(campaign_id: int, now: dt.datetime) -> int | None:
    """Open the run of a campaign whose time has come; return its id, or None if there is nothing to do (any more).

    Slots missed by more than the campaign's grace are recorded as missed, one row each, and the next one is set.
    """
    with writing() as session:
        campaign = lock_row(session, Campaign, campaign_id)
        if campaign is None or campaign.status != Status.WAITING or campaign.next_due_at is None:
            return None
        slot: dt.datetime | None = campaign.next_due_at
        schedule = Schedule.from_json(campaign.schedule)
        grace = dt.timedelta(minutes=campaign.grace_minutes)
        rest_days = calendar.rest_days()
        next_slot = schedules.next_due(schedule, campaign.next_due_at, rest_days) if schedule.recurring else None
        # If several slots have passed, only the last one is sent, so nobody gets yesterday's text beside today's.
        while slot is not None and (slot + grace < now or (next_slot is not None and next_slot <= now)):
            runs.add_missed(session, campaign, slot, now)
            log.warning("slot.missed campaign=%s slot=%s", campaign_id, slot.isoformat())
            slot = next_slot
            next_slot = None if slot is None else schedules.next_due(schedule, slot, rest_days)
        if slot is None:
            campaigns.move(session, campaign_id, Action.START)
            campaigns.move(session, campaign_id, Action.FAIL, failure=RunFailure.MISSED, next_due_at=None)
            budgets.release_unstarted(session, campaign_id)
            return None
        if slot > now:
            campaigns.set_due(session, campaign_id, slot)
            run_id = None
        elif campaigns.move(session, campaign_id, Action.START, next_due_at=None, failure=""):
            run_id = runs.add_run(session, campaign, slot, now)
            if run_id is not None and (reason := recovery.hold_reason_of(session, slot)):
                runs.hold(session, run_id, reason, None, now)
        else:
            return None
    if run_id is None:
        enqueue_when_due(campaign_id, slot)
    else:
        queue.enqueue(queue.SEND, "send", run_id)
    return run_id


def enqueue_when_due(campaign_id: int, due: dt.datetime) -> None:
    """Have the scheduler enqueue `start` at this campaign's next slot; a second call for the campaign moves the job."""
    queue.enqueue_at(clock.on_the_wall(due), queue.SEND, "start", campaign_id, job_id=job_id(campaign_id))


def job_id(campaign_id: int) -> str:
    """Return the id of the scheduled job of a campaign's next slot."""
    return f"due-{campaign_id}"
