"""Failover: a run whose channel fails goes on over the campaign's second channel, as a new run that repeats it.

Only messages that surely did not leave move: unclaimed ones, and refusals that are the channel's fault. Unconfirmed
messages and those in flight never move. The new run uses its own channel's text, quiet hours, rate and price, and the
numbers that were frozen at the start, whatever property its channel reads. Numbers that its channel may not write to
(countries, number classes) are cancelled with a reason of their own; if it may write to none, the run stays.

The automation moves a run once and never back; a person's decision, in either direction, overrides it.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.run import HOLD_RULES, STAYS_PUT, FailoverReason, HoldReason, PinReason, RunState
from smsapp.domain.sms_template import Purpose, fit, variables
from smsapp.services.channels import accounts
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import budget_guard, snapshot
from smsapp.services.templates import approvals, registration_guard
from smsapp.store import queue
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import lock_row, writing
from smsapp.store.runs import failover
from smsapp.store.runs.failover import Reach
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Way:
    """The other channel, which can take messages over."""

    channel: ChannelRow
    template: SmsTemplate
    adapter: Channel


def look(run_id: int, now: dt.datetime) -> int | None:
    """Move the unsent part of a run whose channel has failed for long enough; return the new run, or None."""
    with writing() as session:
        run, campaign = _locked(session, run_id)
        reason = _why(session, run, campaign, now)
        new_id = _move(session, run, campaign, reason, "", now) if reason else None
    if new_id is not None:
        queue.enqueue(queue.SEND, "send", new_id)
    return new_id


def may_concern(run: Run, campaign: Campaign | None) -> bool:
    """Return whether the automation may move this run at all; this needs no transaction."""
    return (
        campaign is not None
        and campaign.second_channel_id is not None
        and run.started_at is not None
        and run.finished_at is None
        and run.state in {RunState.SENDING, RunState.HELD}
        and not run.routed
        and run.pinned not in STAYS_PUT
    )


def at_the_end(session: Session, run: Run, now: dt.datetime) -> int | None:
    """Move the messages that the channel of a closing run has refused; return the new run, or None."""
    campaign = session.get(Campaign, run.campaign_id)
    if campaign is None or not may_concern(run, campaign) or not failover.refusals(session, run.id)[0]:
        return None
    return _move(session, run, campaign, FailoverReason.REFUSED, "", now)


is_moved = failover.is_moved


def move(run_id: int, actor: Actor, now: dt.datetime) -> int:
    """Move the unsent part of a held run to the campaign's other channel, there or back; return the new run.

    Raises Conflict if it is not held or nothing is left to move, Refusal if the other channel cannot take it.
    """
    require(actor, Right.RUNS_CONTROL)
    with writing() as session:
        run, campaign = _locked(session, run_id)
        if (
            run.state != RunState.HELD
            or run.started_at is None
            or HOLD_RULES[HoldReason(run.hold_reason)].may_have_left
        ):
            raise Conflict(run=run_id)
        way = _way(session, run, campaign, now)
        if isinstance(way, PinReason):
            raise Refusal(Problem(f"route_{way}"))
        new_id = _move(session, run, campaign, FailoverReason.PERSON, actor.name, now)
        if new_id is None:
            if run.pinned == PinReason.NUMBERS_NOT_ALLOWED:
                raise Refusal(Problem(f"route_{PinReason.NUMBERS_NOT_ALLOWED}"))
            raise Conflict(run=run_id)
        log_action(session, actor, "route", "run", run_id, now, to=new_id, channel=way.channel.name)
    queue.enqueue(queue.SEND, "send", new_id)
    return new_id


def pin(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Pin this run, so that the automation does not move it; raises Conflict if it is over or pinned already."""
    require(actor, Right.RUNS_CONTROL)
    _set_pin(run_id, PinReason.PERSON, "route_stay", actor, now)


def unpin(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Let the automation decide about this run again."""
    require(actor, Right.RUNS_CONTROL)
    _set_pin(run_id, "", "route_free", actor, now)


def _set_pin(run_id: int, reason: str, action: str, actor: Actor, now: dt.datetime) -> None:
    with writing() as session:
        if not failover.pin(session, run_id, reason):
            raise Conflict(run=run_id)
        log_action(session, actor, action, "run", run_id, now)


def _locked(session: Session, run_id: int) -> tuple[Run, Campaign]:
    run = lock_row(session, Run, run_id)
    campaign = session.get(Campaign, run.campaign_id, populate_existing=True) if run else None
    if run is None or campaign is None or run.finished_at is not None:
        raise Conflict(run=run_id)
    return run, campaign


def _why(session: Session, run: Run, campaign: Campaign, now: dt.datetime) -> str:
    """Return why the automation moves this run now; "" if it does not."""
    if not may_concern(run, campaign):
        return ""
    if run.state == RunState.HELD:
        patience = dt.timedelta(seconds=settings().ROUTE_AFTER_SECONDS)
        over = run.troubled_at is not None and run.troubled_at + patience <= now
        return run.hold_reason if over and HOLD_RULES[HoldReason(run.hold_reason)].may_fail_over else ""
    refused, took = failover.refusals(session, run.id)
    return FailoverReason.REFUSED if refused >= settings().ROUTE_AFTER_REFUSALS and refused > took else ""


def _move(session: Session, run: Run, campaign: Campaign, reason: str, by: str, now: dt.datetime) -> int | None:
    """Move what can be moved to the other channel; if the channel cannot take it, store why and return None."""
    way = _way(session, run, campaign, now)
    reach = None if isinstance(way, PinReason) else Reach(way.channel.countries, way.channel.number_classes)
    if reach is not None and failover.is_out_of_reach(session, run.id, reach):
        way = PinReason.NUMBERS_NOT_ALLOWED
    if isinstance(way, PinReason) or reach is None:
        if failover.pin(session, run.id, str(way)):
            log.warning("run.pinned run=%s reason=%s", run.id, way)
        return None
    if not failover.reclaim_movable(session, run.id, reach):
        return None
    new_run = failover.open_run(session, run, way.channel.id, reason, by, now)
    n = failover.move_messages(session, run.id, new_run.id, snapshot.batch_size(way.adapter, way.channel.rate), reach)
    new_run.target = new_run.planned = n
    new_run.snapshot = snapshot.elsewhere(run.snapshot, way.template, way.channel, way.adapter)
    run.pinned = run.pinned if run.pinned == PinReason.PERSON else ""
    session.flush()
    budget_guard.follow(session, campaign, run, new_run, now)
    log.warning("run.routed run=%s to=%s channel=%s reason=%s n=%s", run.id, new_run.id, way.channel.id, reason, n)
    return new_run.id


def _way(session: Session, run: Run, campaign: Campaign, now: dt.datetime) -> _Way | PinReason:
    """Return the campaign's other channel, or why it cannot take the run over."""
    to_second = run.channel_id != campaign.second_channel_id
    channel_id, template_id, words = (
        (campaign.second_channel_id, campaign.second_template_id, campaign.confirmed_second)
        if to_second
        else (campaign.channel_id, campaign.template_id, campaign.confirmed_template)
    )
    channel = session.get(ChannelRow, channel_id, populate_existing=True) if channel_id else None
    template = session.get(SmsTemplate, template_id, populate_existing=True) if template_id else None
    if channel is None or not channel.active:
        return PinReason.CHANNEL_INACTIVE
    changed = approvals.change(words, template)
    if template is None or changed:
        return PinReason(changed or HoldReason.TEMPLATE_WITHDRAWN)
    lapsed = registration_guard.change(session, campaign, template, now)
    if lapsed or not _takes_its_place(run, template):
        return PinReason.REGISTRATION if lapsed else PinReason.TEMPLATE_CHANGED
    frozen_for = session.get(ChannelRow, run.channel_id)
    if to_second and channel.trusted_numbers and frozen_for is not None and not frozen_for.trusted_numbers:
        return PinReason.TRUSTED_NUMBERS
    try:
        return _Way(channel, template, accounts.adapter(channel.id))
    except Refusal:
        return PinReason.CHANNEL_UNUSABLE


def _takes_its_place(run: Run, template: SmsTemplate) -> bool:
    marketing = template.purpose == Purpose.MARKETING
    return fit(run.snapshot.variables, variables(template.text)) and marketing == run.snapshot.marketing
