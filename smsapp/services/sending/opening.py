"""The audience of a run is frozen, or the run is held because what was confirmed has changed."""

from __future__ import annotations

import datetime as dt
import logging

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain.run import (
    HoldReason,
    RunAction,
    RunState,
)
from smsapp.domain.sms_template import Purpose
from smsapp.services.channels import accounts
from smsapp.services.contacts import audience
from smsapp.services.sending import closing, drift, snapshot
from smsapp.services.templates import approvals
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import freezing, retries, runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)

HELD = -1


def open_run(run_id: int, now: dt.datetime) -> bool:
    """Freeze the audience of a run that is not frozen yet, or hold the run if what was confirmed has changed.

    Return False if there is nothing to do, or if another worker has the row locked: waiting would delay other runs.
    """
    run = current_session().get(Run, run_id, populate_existing=True)
    if run is None or run.state != RunState.OPEN:
        return False
    adapter = accounts.adapter(run.channel_id)
    with writing() as session:
        freezing.ensure_partition(session, run_id)
    try:
        planned = _freeze(run_id, adapter, now)
    except drift.AudienceDrifted as drifted:
        drift.hold(run_id, drifted, now)
        return True
    if planned == 0:
        closing.close_if_over(run_id, now)
    return planned is not None


def _freeze(run_id: int, adapter: Channel, now: dt.datetime) -> int | None:
    """Freeze the audience, or hold the run; return its messages, HELD, or None if another worker has the row locked.

    Raises AudienceDrifted, which rolls the freeze back, if the people are not those that were reviewed.
    """
    with writing(frozen=True) as session:
        run = lock_row(session, Run, run_id, skip_locked=True)
        if run is None or run.state != RunState.OPEN:
            return None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
        template = session.get(SmsTemplate, campaign.template_id) if campaign and campaign.template_id else None
        channel = session.get(ChannelRow, run.channel_id)
        name = _segment_name(session, run)
        change = HoldReason.SEGMENT_GONE if name is None else changed_since_confirmed(campaign, template, channel)
        if change or campaign is None or template is None or channel is None or name is None:
            runs.hold(session, run_id, change or HoldReason.GONE, None, now)
            log.warning("run.held run=%s reason=%s", run_id, change)
            return HELD
        inputs = (channel.id, template.id, campaign.mapping, now)
        if run.repeats is not None:
            retries.lock_candidates(session, run.repeats)
            plan = audience.tried_again(run.repeats, *inputs)
        else:
            plan = audience.describe(run.segment_id or 0, *inputs)
        target, planned = freezing.freeze(session, run_id, plan, snapshot.batch_size(adapter, channel.rate))
        drift.check(session, campaign, run, plan.phone_property, target, planned)
        if run.repeats is not None:
            retries.add_earlier_tallies(session, run_id, run.repeats)
        runs.move(
            session,
            run_id,
            RunAction.FREEZE,
            started_at=now,
            target=target,
            planned=planned,
            marketing=template.purpose == Purpose.MARKETING,
            snapshot=snapshot.take(campaign, template, channel, name, adapter),
        )
        log.info("run.frozen run=%s target=%s planned=%s", run_id, target, planned)
    return planned


def _segment_name(session: Session, run: Run) -> str | None:
    """Return the name of the run's segment; None if it is gone. A run that repeats another one needs no segment."""
    if run.repeats is not None:
        repeated = session.get(Run, run.repeats)
        return repeated.snapshot.segment if repeated else None
    segment = session.get(Segment, run.segment_id) if run.segment_id else None
    return segment.name if segment else None


def changed_since_confirmed(
    campaign: Campaign | None, template: SmsTemplate | None, channel: ChannelRow | None
) -> HoldReason | None:
    """Return why a run of this campaign would be held at once: its channel or its template has changed; or None."""
    if campaign is None:
        return HoldReason.GONE
    if channel is None or not channel.active:
        return HoldReason.CHANNEL_INACTIVE
    return approvals.change(campaign.confirmed_template, template)


def hold_for_fault(run_id: int, begins: RunState, now: dt.datetime) -> None:
    """Hold a run that a mistake of ours keeps from going on from this state, so that the others do."""
    with writing() as session:
        runs.hold(session, run_id, HoldReason.FAULT, None, now, Run.state == begins)
