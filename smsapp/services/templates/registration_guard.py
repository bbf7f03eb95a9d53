"""Compares what carriers had registered when a campaign was confirmed with what they have now.

A run whose texts a carrier would not let through any more is held, if it has messages for that carrier, until a person
accepts it, leaves the carrier out, or ends the run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain.carrier_prefixes import Carrier, known
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.registration import Registration, lapsed, states
from smsapp.domain.rights import Right
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.contacts import audience, leave_outs
from smsapp.services.contacts.audience import Choices
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import registrations
from smsapp.store import queue
from smsapp.store import registrations as store
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.carrier_counts import count_planned, count_queued
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CarrierLapse:
    """One carrier that lets a held run's texts through no more."""

    carrier: Carrier
    registration: Registration
    n: int
    """Messages for its numbers."""


@dataclass(frozen=True)
class RegistrationHold:
    """The facts by which a person decides about a held run."""

    lapses: Sequence[CarrierLapse]
    """Empty once the carriers have registered everything again."""
    may_leave_out: bool
    """The audience is not frozen yet, so a carrier's numbers can still be left out."""
    mark: str
    """Names what a person who accepts has seen."""


def confirmed_states(session: Session, templates: Collection[SmsTemplate], now: dt.datetime) -> dict[str, Any]:
    """Return what a campaign stores of the registrations it is confirmed with."""
    return {str(row.channel_id): states(registrations.present(session, row, now)) for row in templates}


def change(
    session: Session, campaign: Campaign, template: SmsTemplate | None, now: dt.datetime
) -> dict[Carrier, Registration]:
    """Return the carriers that have turned red since the campaign was confirmed, but for those it leaves out.

    Campaigns that were confirmed without this are not compared.
    """
    if template is None or campaign.confirmed_registrations is None:
        return {}
    confirmed = campaign.confirmed_registrations.get(str(template.channel_id), {})
    return lapsed(confirmed, registrations.present(session, template, now), campaign.left_out_carriers)


def reaches(session: Session, plan: Audience, carriers: Collection[Carrier]) -> bool:
    """Return whether the audience has messages for numbers of these carriers."""
    if not carriers:
        return False
    counts = count_planned(session, plan)
    return any(counts.get(carrier) for carrier in carriers)


def held(run: Run, now: dt.datetime) -> RegistrationHold | None:
    """Return why a run is held for a registration; None for any other run."""
    if run.state != RunState.HELD or run.hold_reason != HoldReason.REGISTRATION:
        return None
    session = current_session()
    campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
    template = _template(session, campaign, run)
    changes = change(session, campaign, template, now) if campaign else {}
    counts = _counts(session, run, campaign, template, now) if changes else {}
    lapses = [CarrierLapse(carrier, entry, counts.get(carrier, 0)) for carrier, entry in changes.items()]
    facts = [f"{lapse.carrier} {lapse.registration.state}" for lapse in lapses]
    mark = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return RegistrationHold(lapses, run.started_at is None and run.repeats is None, mark)


def _counts(
    session: Session, run: Run, campaign: Campaign | None, template: SmsTemplate | None, now: dt.datetime
) -> dict[Carrier, int]:
    if run.started_at is not None:
        return count_queued(session, run.id)
    if campaign is None or template is None or run.repeats is not None:
        return {}
    choices = replace(Choices.of(campaign), channel_id=run.channel_id, template_id=template.id)
    if campaign.api_key_id is not None:
        return count_planned(session, audience.asked_for(run.id, choices, now))
    try:
        plan = audience.describe(audience_of(run), choices, now)
    except Refusal:  # its segment cannot be read any more, for which the freeze will hold it
        return {}
    left_out = leave_outs.applied(plan, campaign.leave_out, campaign.id, template.id, now, now)
    return count_planned(session, left_out)


def _template(session: Session, campaign: Campaign | None, run: Run) -> SmsTemplate | None:
    """Return the template of the campaign on the run's channel."""
    if campaign is None:
        return None
    is_first = run.channel_id == campaign.channel_id
    template_id = campaign.template_id if is_first else campaign.second_template_id
    return session.get(SmsTemplate, template_id, populate_existing=True) if template_id else None


def check_resumed(session: Session, run: Run, now: dt.datetime) -> None:
    """Raise Refusal if a run held for a registration would still send what a carrier lets through no more."""
    if run.hold_reason != HoldReason.REGISTRATION:
        return
    campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
    if campaign is not None and change(session, campaign, _template(session, campaign, run), now):
        raise Refusal(Problem("registration_to_accept", "template"))


def accept(run_id: int, mark: str, actor: Actor, now: dt.datetime, *, leave_out: bool = False) -> None:
    """Let a run that is held for a registration go on; with `leave_out` without the numbers of these carriers.

    `mark` is that of the facts seen. Raises Conflict if the run or the registrations have changed, or if its audience
    is frozen already and somebody is to be left out.
    """
    require(actor, Right.RUNS_ACCEPT)
    with writing() as session:
        run = lock_row(session, Run, run_id)
        facts = held(run, now) if run else None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True) if run else None
        if run is None or campaign is None or facts is None or facts.mark != mark:
            raise Conflict(run=run_id)
        carriers = [lapse.carrier for lapse in facts.lapses]
        if leave_out:
            if not facts.may_leave_out:
                raise Conflict(run=run_id)
            campaign.left_out_carriers = [str(one) for one in known([*campaign.left_out_carriers, *carriers])]
        else:
            template = _template(session, campaign, run)
            confirmed = confirmed_states(session, [template] if template else [], now)
            campaign.confirmed_registrations = {**(campaign.confirmed_registrations or {}), **confirmed}
        session.flush()
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        words = {"carriers": ",".join(carriers), "left_out": leave_out}
        audit_log.log_action(session, actor, "accept_registration", "run", run_id, now, **words)
    queue.enqueue(queue.SEND, "send", run_id)


def hold_lapsed(now: dt.datetime) -> int:
    """Hold the runs of all channels that are being sent to a carrier that has turned red; return how many."""
    if not store.being_sent(current_session(), None):
        return 0
    with writing() as session:
        return hold_running(session, None, now)


def hold_running(session: Session, channel_id: int | None, now: dt.datetime) -> int:
    """Hold the runs of a channel (None: of all) being sent to a carrier that has turned red; return how many."""
    n = 0
    for run, campaign in store.being_sent(session, channel_id):
        template = _template(session, campaign, run)
        changes = change(session, campaign, template, now)
        if not changes or template is None or run.snapshot.code != template.code:
            continue
        counts = count_queued(session, run.id)
        if any(counts.get(carrier) for carrier in changes) and runs.hold(
            session, run.id, HoldReason.REGISTRATION, None, now, Run.state == RunState.SENDING
        ):
            log.warning("run.held run=%s reason=%s", run.id, HoldReason.REGISTRATION)
            n += 1
    return n
