"""The audience of a run is frozen, or the run is held because what was confirmed has changed."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import nullcontext
from dataclasses import replace

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain import single_message
from smsapp.domain.errors import Refusal
from smsapp.domain.run import (
    HoldReason,
    RunAction,
    RunState,
)
from smsapp.domain.sms_template import Purpose
from smsapp.domain.webhook import EventKind
from smsapp.services.channels import accounts
from smsapp.services.contacts import audience, leave_outs
from smsapp.services.contacts.audience import Choices
from smsapp.services.sending import approval_guard, budget_guard, closing, drift, seeds, snapshot, time_limits
from smsapp.services.sending.held_back import HeldBack
from smsapp.services.sending.run_size import size_of
from smsapp.services.templates import approvals, registration_guard
from smsapp.store import budgets
from smsapp.store.apps import webhook_outbox
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import segments
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import api_messages, freezing, partitions, retries, runs
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
        partitions.ensure_partition(session, run_id)
    channel = current_session().get(ChannelRow, run.channel_id)
    alone = freezing.alone_on_channel(run.channel_id) if channel and channel.number_limits else nullcontext()
    try:
        with alone:
            planned = _freeze(run_id, adapter, now)
    except drift.AudienceDrifted as drifted:
        drift.hold(run_id, drifted, now)
        return True
    except HeldBack as held:
        _hold_back(run_id, held, now)
        return True
    if planned == 0:
        closing.close_if_over(run_id, now)
    return planned is not None


def _freeze(run_id: int, adapter: Channel, now: dt.datetime) -> int | None:
    """Freeze the audience, or hold the run; return its messages, HELD, or None if another worker has the row locked.

    Raises AudienceDrifted, which rolls the freeze back, if the people are not those that were reviewed, and HeldBack if
    it needs somebody's approval or more than a budget holds.
    """
    with writing(frozen=True) as session:
        run = lock_row(session, Run, run_id, skip_locked=True)
        if run is None or run.state != RunState.OPEN:
            return None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
        template = session.get(SmsTemplate, campaign.template_id) if campaign and campaign.template_id else None
        channel = session.get(ChannelRow, run.channel_id)
        of_api = campaign is not None and campaign.api_key_id is not None
        name = single_message.TAG if of_api else _segment_names(session, run)
        change = HoldReason.SEGMENT_GONE if name is None else changed_since_confirmed(campaign, template, channel)
        if change or campaign is None or template is None or channel is None or name is None:
            runs.hold(session, run_id, change or HoldReason.GONE, None, now)
            log.warning("run.held run=%s reason=%s", run_id, change)
            return HELD
        rule = audience_of(run)
        choices = replace(Choices.of(campaign), channel_id=channel.id)
        try:
            if of_api:
                plan = audience.asked_for(run_id, choices, now)
            elif run.repeats is not None:
                retries.lock_candidates(session, run.repeats)
                plan = audience.tried_again(run.repeats, rule, choices, now)
            else:
                plan = audience.describe(rule, choices, now)
        except Refusal:
            runs.hold(session, run_id, HoldReason.SEGMENT_UNREADABLE, None, now)
            log.warning("run.held run=%s reason=%s", run_id, HoldReason.SEGMENT_UNREADABLE)
            return HELD
        plan = leave_outs.applied(plan, campaign.leave_out, campaign.id, template.id, now, now)
        if registration_guard.reaches(session, plan, registration_guard.change(session, campaign, template, now)):
            runs.hold(session, run_id, HoldReason.REGISTRATION, None, now)
            log.warning("run.held run=%s reason=%s", run_id, HoldReason.REGISTRATION)
            return HELD
        target, planned = freezing.freeze(session, run_id, plan, snapshot.batch_size(adapter, channel.rate))
        drift.check(session, campaign, run, plan.phone_property, target, planned)
        frozen_as = snapshot.take(campaign, template, channel, name, adapter, now)
        if approval_guard.is_on(session) or budgets.are_there(session):
            size = size_of(session, run_id, frozen_as, planned)
            approval_guard.check(session, campaign, run, size.of_one if of_api else size)
            budget_guard.reserve_run(session, campaign, run, size, now)
        if of_api:
            api_messages.settle(session, run_id, 0)
        if run.repeats is not None:
            retries.add_earlier_tallies(session, run_id, run.repeats)
        even_rate = time_limits.even_rate(campaign, run, planned, frozen_as.quiet_hours, now)
        runs.move(
            session,
            run_id,
            RunAction.FREEZE,
            own_rate=even_rate,
            rated_at=now - dt.timedelta(seconds=1 / even_rate) if even_rate else None,
            started_at=now,
            target=target,
            planned=planned,
            marketing=template.purpose == Purpose.MARKETING,
            consented_only=campaign.consented_only,
            snapshot=frozen_as,
        )
        facts = {"run": run_id, "slot": run.slot.isoformat(), "target": target, "planned": planned}
        webhook_outbox.note(session, EventKind.RUN_STARTED, campaign.id, now, **facts)
        seeds.plan(session, campaign, run_id, channel, frozen_as, now)
        log.info("run.frozen run=%s target=%s planned=%s", run_id, target, planned)
    return planned


def _hold_back(run_id: int, held: HeldBack, now: dt.datetime) -> None:
    """Hold the run whose freeze was rolled back, and have it wait for an approval if that is what it lacks."""
    with writing() as session:
        if runs.hold(session, run_id, held.reason, None, now, Run.started_at.is_(None)):
            if held.reason is HoldReason.APPROVAL:
                approval_guard.ask_for_run(session, run_id, held.size, now)
            log.warning("run.held run=%s %s", run_id, held)


def _segment_names(session: Session, run: Run) -> str | None:
    """Return the names of the run's segments; None if one is gone. A run that repeats another one needs no segment."""
    if run.repeats is not None:
        repeated = session.get(Run, run.repeats)
        return repeated.snapshot.segment if repeated else None
    rule = audience_of(run)
    name_by_id = segments.names(session, rule.ids)
    there = rule.include and len(name_by_id) == len({*rule.ids})
    return segments.named(rule, name_by_id).notation if there else None


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
