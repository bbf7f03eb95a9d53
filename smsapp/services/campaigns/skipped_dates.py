"""Single dates of a recurring campaign that are skipped, and what follows for when it is due."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.schedule import Schedule
from smsapp.services.campaigns.drafts import NOUN, require_campaign
from smsapp.services.platform import calendar
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import starting
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import lock_row, writing


def skip(campaign_id: int, date: dt.date, actor: Actor, now: dt.datetime) -> None:
    """Skip the send of this local date. Raises Conflict if the campaign does not wait (any more).

    Refusal if it sends nothing on this date, or if nothing would be left to send.
    """
    require(actor, Right.CAMPAIGNS_CONFIRM)
    _change(campaign_id, date, actor, now, skipped=True)


def unskip(campaign_id: int, date: dt.date, actor: Actor, now: dt.datetime) -> None:
    """Take a skip back, as long as the date lies ahead; raises Conflict and Refusal as `skip`."""
    require(actor, Right.CAMPAIGNS_CONFIRM)
    _change(campaign_id, date, actor, now, skipped=False)


def _change(campaign_id: int, date: dt.date, actor: Actor, now: dt.datetime, *, skipped: bool) -> None:
    with writing() as session:
        campaign = lock_row(session, Campaign, require_campaign(session, campaign_id).id)
        if campaign is None or campaign.status != Status.WAITING or not campaign.recurring:
            raise Conflict(status=campaign.status if campaign else Status.STOPPED)
        schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
        if campaign.next_due_at is not None and campaign.next_due_at <= now:
            raise Conflict(status=campaign.status)  # it begins at this moment
        if (date in schedule.skipped) is skipped:
            return
        today = now.astimezone(ZoneInfo(schedule.zone)).date()
        if skipped and not _is_due_on(schedule, date, now):
            raise Refusal(Problem("skip_not_due", "date", {"date": date.isoformat()}))
        others = {day for day in schedule.skipped if day >= today and day != date}
        changed = replace(schedule, skipped=tuple(sorted(others | ({date} if skipped else set()))))
        due = schedules.next_due(changed, now, calendar.rest_days())
        if due is None:
            raise Refusal(Problem("skip_leaves_nothing", "date"))
        campaigns.reschedule(session, campaign_id, changed.as_json(), due)
        log_action(
            session, actor, "skip" if skipped else "unskip", NOUN, campaign_id, now, name=campaign.name, date=str(date)
        )
    starting.enqueue_when_due(campaign_id, due)


def _is_due_on(schedule: Schedule, date: dt.date, now: dt.datetime) -> bool:
    """Return whether a send of this local date lies ahead."""
    only_that_day = replace(schedule, end=min(date, schedule.end or date))
    noon = dt.datetime.combine(date - dt.timedelta(days=2), dt.time(12), ZoneInfo(schedule.zone)).astimezone(dt.UTC)
    fires = schedules.next_fires(only_that_day, max(now, noon), 3, calendar.rest_days())
    return any(fire.date == date for fire in fires)
