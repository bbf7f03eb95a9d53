"""Repeats: a new run for those failed messages of a run that are worth another try."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from smsapp.domain import forecast as forecasts
from smsapp.domain.campaign import Action, ExclusionReason
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.errors import Conflict, NotFound
from smsapp.domain.forecast import Forecast
from smsapp.domain.rights import Right
from smsapp.domain.run import HoldReason
from smsapp.domain.schedule import Schedule
from smsapp.services.contacts import audience, leave_outs
from smsapp.services.contacts.audience import AudienceCounts, Choices
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import opening, snapshot
from smsapp.store import queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import retries, runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate


@dataclass(frozen=True)
class Review:
    """What a repeat would do now."""

    campaign: Campaign
    run: Run
    failed: int
    """Failed messages that are worth another try and have not had one."""
    counts: AudienceCounts
    cost: Cost
    forecast: Forecast
    change: HoldReason | None
    """Why nothing can be sent now; None if messages can be sent."""

    @property
    def gone(self) -> int:
        """People among the failed who have been deleted since, or have another number."""
        return self.failed - self.counts.target

    @property
    def left_out(self) -> list[tuple[ExclusionReason, int]]:
        return [(reason, n) for reason in ExclusionReason if (n := self.counts.left_out.get(reason, 0))]


def review(campaign_id: int, run_id: int, now: dt.datetime) -> Review:
    """Return what a repeat of a run's failed messages would do; raises NotFound."""
    campaign = campaigns.find(current_session(), campaign_id)
    if campaign is None:
        raise NotFound("campaign")
    run = current_session().get(Run, run_id, populate_existing=True)
    if run is None or run.campaign_id != campaign_id:
        raise NotFound("run")
    template = current_session().get(SmsTemplate, campaign.template_id) if campaign.template_id else None
    channel = current_session().get(ChannelRow, campaign.channel_id) if campaign.channel_id else None
    plan = audience.tried_again(run_id, audience_of(run), Choices.of(campaign), now)
    left_out = leave_outs.applied(plan, campaign.leave_out, campaign.id, campaign.template_id, now, now)
    counts = audience.tally(left_out)
    billed = round(counts.planned * retries.average_parts(current_session(), run_id))
    schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
    hours = snapshot.quiet_hours(template, channel, schedule, now) if template and channel else None
    return Review(
        campaign,
        run,
        retries.remaining(current_session(), [run_id]).get(run_id, 0),
        counts,
        cost_of(billed, channel.price if channel else None, channel.currency if channel else ""),
        forecasts.forecast(now, counts.planned, channel.rate if channel else None, hours),
        opening.changed_since_confirmed(campaign, template, channel),
    )


def send_again(campaign_id: int, run_id: int, actor: Actor, now: dt.datetime) -> int:
    """Open the run that repeats this one and return its id; its audience is computed when it is frozen.

    Raises Conflict if the run or another one of the campaign is unfinished, or if nothing of it can be sent again (any
    more): of two clicks only one succeeds.
    """
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        run = lock_row(session, Run, run_id)
        campaign = campaigns.find(session, campaign_id)
        if run is None or campaign is None or run.campaign_id != campaign_id:
            raise NotFound("run")
        n = retries.remaining(session, [run_id]).get(run_id, 0)
        if run.finished_at is None or not n or campaign.channel_id is None:
            raise Conflict(status=campaign.status)
        if not campaigns.move(session, campaign_id, Action.RETRY, next_due_at=None, failure=""):
            raise Conflict(status=campaign.status)
        new_id = runs.add_run(session, campaign, now, now, repeats=run_id)
        if new_id is None:
            raise Conflict(status=campaign.status)
        log_action(session, actor, "retry", "run", run_id, now, n=n, run=new_id)
    queue.enqueue(queue.SEND, "send", new_id)
    return new_id
