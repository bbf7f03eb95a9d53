"""Campaigns: confirmed, stopped, copied and deleted. Their drafts are in drafts.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from smsapp.domain import campaign as rules
from smsapp.domain import leave_out
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Action, Status
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.provenance import Provenance
from smsapp.domain.rights import Right
from smsapp.domain.schedule import Kind
from smsapp.domain.tags import Item
from smsapp.services.campaigns import campaign_approvals, registration_look
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import (
    NOUN,
    EditConflict,
    add_row,
    draft_of,
    facts_of,
    problems,
    refuse_unfit,
    require_campaign,
    template_row,
)
from smsapp.services.platform import calendar
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import approval_guard, budget_guard, drift, starting
from smsapp.services.templates import approvals, registration_guard, registrations, sms_templates
from smsapp.store import budgets, queue
from smsapp.store import tags as tag_rows
from smsapp.store.campaigns import archive, campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import segments
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.sms_templates import SmsTemplate

UNDO_WITHIN = dt.timedelta(days=7)
"""How long a deletion can be undone."""


def get(campaign_id: int) -> Campaign:
    """Return the campaign; raises NotFound if there is none or it was deleted."""
    return require_campaign(current_session(), campaign_id)


def loaded(campaign_id: int) -> Campaign:
    """Return the campaign as this request has loaded it, or loads it now; raises NotFound as `get` does."""
    campaign = current_session().get(Campaign, campaign_id)
    return campaign if campaign is not None and campaign.deleted_at is None else get(campaign_id)


def confirm(campaign_id: int, version: int, seen_text: str, actor: Actor, now: dt.datetime) -> Status:
    """Send the campaign now, or let it wait for its time; return its new status.

    Exactly one of several confirmations succeeds: the others raise Conflict. Raises EditConflict if the draft is not
    the one that was reviewed, and Refusal with every problem for which it cannot go out.
    """
    require(actor, Right.CAMPAIGNS_CONFIRM)
    due: dt.datetime | None = None
    run_id: int | None = None
    estimate = campaign_approvals.estimate_if_asked(campaign_id, now)
    reviewed = _reviewed_audience(campaign_id, now)  # before the transaction: a million people take a while to count
    with writing() as session:
        campaign = require_campaign(session, campaign_id)
        draft = draft_of(campaign)
        if campaign.status != Status.DRAFT:
            raise Conflict(status=campaign.status)
        if campaign.version != version:
            raise EditConflict(draft, campaign.version)
        draft_problems = rules.problems(facts_of(session, draft, now))
        template = template_row(session, draft.template_id)
        if draft_problems or template is None:
            raise Refusal(*draft_problems)
        second = template_row(session, draft.second_template_id if draft.second_channel_id else None)
        _check_seen(review_mark(template, second), seen_text)
        approval_guard.require_approval(session, campaign, estimate)
        values = {
            "confirmed_at": now,
            "confirmed_template": approvals.confirmed_words(template),
            "confirmed_second": approvals.confirmed_words(second) if second else None,
            "confirmed_registrations": registration_guard.confirmed_states(
                session, [item for item in (template, second) if item], now
            ),
            "reviewed": reviewed,
            "failure": "",
        }
        if draft.schedule.kind is Kind.NOW:
            is_confirmed = campaigns.move(session, campaign_id, Action.LAUNCH, Campaign.version == version, **values)
            if is_confirmed:
                run_id = runs.add_run(session, require_campaign(session, campaign_id), slot=now, now=now)
        else:
            due = schedules.next_due(draft.schedule, now, calendar.rest_days())
            values["next_due_at"] = due
            is_confirmed = campaigns.move(session, campaign_id, Action.SCHEDULE, Campaign.version == version, **values)
        if not is_confirmed:
            raise Conflict(status=require_campaign(session, campaign_id).status)
        budget_guard.reserve_campaign(session, require_campaign(session, campaign_id), estimate, due or now)
        facts = {"next_due_at": due.isoformat()} if due else {}
        log_action(session, actor, "confirm", NOUN, campaign_id, now, name=campaign.name, **facts)
    if due is not None:
        starting.enqueue_when_due(campaign_id, due)
        return Status.WAITING
    queue.enqueue(queue.SEND, "send", run_id)
    return Status.SENDING


def _reviewed_audience(campaign_id: int, now: dt.datetime) -> dict[str, Any] | None:
    """Return the present audience of the draft, for comparison with its runs' audiences; None if it cannot go out."""
    draft = draft_of(get(campaign_id))
    look = DraftPreview(draft, now, own_id=campaign_id)
    refusals = registration_look.refusals(look.registration)
    if refusals:
        raise Refusal(*refusals)
    if problems(draft, now) or look.plan is None:
        return None
    return drift.reviewed(look.without_left_out(look.plan))


def review_mark(template: SmsTemplate, second: SmsTemplate | None) -> str:
    """Return the mark of what a person reviewed: the texts of the template and of its counterpart, and, behind a bar,
    what carriers have registered of them, if anything is known."""
    templates = [item for item in (template, second) if item]
    texts = " ".join(sms_templates.seen(item) for item in templates)
    known = " ".join(filter(None, map(registrations.mark, templates)))
    return f"{texts}|{known}" if known else texts


def _check_seen(mark: str, seen: str) -> None:
    """Raise Refusal if what a person reviewed is not what there is now."""
    (texts, _, known), (texts_seen, _, known_seen) = mark.partition("|"), seen.partition("|")
    if texts != texts_seen:
        raise Refusal(Problem("template_changed_since_review", "template"))
    if known != known_seen:
        raise Refusal(Problem("registration_changed_since_review", "template"))


def stop(campaign_id: int, actor: Actor, now: dt.datetime) -> None:
    """Stop a waiting campaign, so that it does not begin (again). Raises Conflict if it does not wait (any more)."""
    require(actor, Right.CAMPAIGNS_CONFIRM)
    with writing() as session:
        campaign = require_campaign(session, campaign_id)
        if not campaigns.move(session, campaign_id, Action.STOP, next_due_at=None):
            raise Conflict(status=require_campaign(session, campaign_id).status)
        budgets.release_unstarted(session, campaign_id)
        log_action(session, actor, "stop", NOUN, campaign_id, now, name=campaign.name)
    queue.cancel_scheduled(starting.job_id(campaign_id))


def delete(campaign_ids: Iterable[int], actor: Actor, now: dt.datetime) -> list[int]:
    """Mark these campaigns as deleted; return the ids of those that may not be deleted (any more).

    What was sent is never deleted: it keeps its report, and can be archived (`archiving.py`).
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    refused_ids = []
    with writing() as session:
        for campaign_id in campaign_ids:
            campaign = campaigns.find(session, campaign_id)
            if campaign is None:
                continue
            if campaigns.move(session, campaign_id, Action.DELETE, archive.never_ran(), deleted_at=now):
                log_action(session, actor, "delete", NOUN, campaign_id, now, name=campaign.name)
            else:
                refused_ids.append(campaign_id)
    return refused_ids


def undelete(campaign_ids: Iterable[int], actor: Actor, now: dt.datetime) -> int:
    """Undo deletions within UNDO_WITHIN; return how many campaigns are there again."""
    require(actor, Right.CAMPAIGNS_WRITE)
    restored = 0
    with writing() as session:
        for campaign_id in campaign_ids:
            name = campaigns.undelete(session, campaign_id, now - UNDO_WITHIN)
            if name is not None:
                log_action(session, actor, "undelete", NOUN, campaign_id, now, name=name)
                restored += 1
    return restored


@dataclass(frozen=True)
class CopiedCampaign:
    """A new draft made from a campaign."""

    id: int
    moved: bool
    """True if its dates had passed and were brought forward."""
    lost: bool = False
    """True if a segment it named has been deleted since, so the copy does not name it."""


def save_as(campaign_id: int, name: str, actor: Actor, now: dt.datetime) -> CopiedCampaign:
    """Store a copy of the campaign, in any status, as a new draft under `name`."""
    require(actor, Right.CAMPAIGNS_WRITE)
    with writing() as session:
        campaign = require_campaign(session, campaign_id)
        draft = draft_of(campaign)
        schedule = schedules.moved_forward(draft.schedule, now)
        gone = {*draft.audience.ids} - {*segments.names(session, draft.audience.ids)}
        copy = replace(
            draft,
            name=name,
            schedule=schedule,
            audience=draft.audience.without([*gone]),
            mapping={name: source for name, source in draft.mapping.items() if rules.GIVEN not in source},
            leave_out=leave_out.for_copy(draft.leave_out),
        )
        if not name.strip():
            raise Refusal(Problem("name_missing", "name"))
        refuse_unfit(session, copy)
        # What had to change for the copy is nobody's choice: only the name is.
        renamed = replace(draft, name=name)
        origins = Provenance.from_json(campaign.provenance).after(draft, renamed, actor.program, now)
        copy_id = add_row(session, copy, actor, now, origins)
        tag_rows.copy(session, Item.CAMPAIGN, campaign_id, copy_id)
        log_action(session, actor, "copy", NOUN, copy_id, now, name=name, source=campaign_id)
    return CopiedCampaign(copy_id, moved=schedule != draft.schedule, lost=bool(gone))
