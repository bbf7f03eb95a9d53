"""Campaigns: confirmed, stopped, copied and deleted. Their drafts are in drafts.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from smsapp.domain import campaign as rules
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Action, Status
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.schedule import Kind
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
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import drift, starting
from smsapp.services.templates import approvals, sms_templates
from smsapp.store import queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.sms_templates import SmsTemplate


def get(campaign_id: int) -> Campaign:
    """Return the campaign; raises NotFound if there is none or it was deleted."""
    return require_campaign(current_session(), campaign_id)


def confirm(campaign_id: int, version: int, seen_text: str, actor: Actor, now: dt.datetime) -> Status:
    """Send the campaign now, or let it wait for its time; return its new status.

    Exactly one of several confirmations succeeds: the others raise Conflict. Raises EditConflict if the draft is not
    the one that was reviewed, and Refusal with every problem for which it cannot go out.
    """
    due: dt.datetime | None = None
    run_id: int | None = None
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
        if review_mark(template, second) != seen_text:
            raise Refusal(Problem("template_changed_since_review", "template"))
        values = {
            "confirmed_at": now,
            "confirmed_template": approvals.confirmed_words(template),
            "confirmed_second": approvals.confirmed_words(second) if second else None,
            "reviewed": reviewed,
            "failure": "",
        }
        if draft.schedule.kind is Kind.NOW:
            is_confirmed = campaigns.move(session, campaign_id, Action.LAUNCH, Campaign.version == version, **values)
            if is_confirmed:
                run_id = runs.add_run(session, require_campaign(session, campaign_id), slot=now, now=now)
        else:
            due = schedules.next_due(draft.schedule, now)
            values["next_due_at"] = due
            is_confirmed = campaigns.move(session, campaign_id, Action.SCHEDULE, Campaign.version == version, **values)
        if not is_confirmed:
            raise Conflict(status=require_campaign(session, campaign_id).status)
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
    if problems(draft, now) or draft.segment_id is None or draft.template_id is None:
        return None
    return drift.reviewed(draft.segment_id, draft.channel_id, draft.template_id, draft.mapping, now)


def review_mark(template: SmsTemplate, second: SmsTemplate | None) -> str:
    """Return the mark of the texts a person reviewed: those of the template and of its counterpart."""
    return " ".join(sms_templates.seen(item) for item in (template, second) if item)


def stop(campaign_id: int, actor: Actor, now: dt.datetime) -> None:
    """Stop a waiting campaign, so that it does not begin (again). Raises Conflict if it does not wait (any more)."""
    with writing() as session:
        campaign = require_campaign(session, campaign_id)
        if not campaigns.move(session, campaign_id, Action.STOP, next_due_at=None):
            raise Conflict(status=require_campaign(session, campaign_id).status)
        log_action(session, actor, "stop", NOUN, campaign_id, now, name=campaign.name)
    queue.cancel_scheduled(starting.job_id(campaign_id))


def delete(campaign_ids: Iterable[int], actor: Actor, now: dt.datetime) -> list[int]:
    """Mark these campaigns as deleted; return the ids of those that may not be deleted (any more).

    Their ledgers stay: frequency caps and audits need them.
    """
    refused_ids = []
    with writing() as session:
        for campaign_id in campaign_ids:
            campaign = campaigns.find(session, campaign_id)
            if campaign is None:
                continue
            if campaigns.move(session, campaign_id, Action.DELETE, deleted_at=now):
                log_action(session, actor, "delete", NOUN, campaign_id, now, name=campaign.name)
            else:
                refused_ids.append(campaign_id)
    return refused_ids


@dataclass(frozen=True)
class CopiedCampaign:
    """A new draft made from a campaign."""

    id: int
    moved: bool
    """True if its dates had passed and were brought forward."""


def save_as(campaign_id: int, name: str, actor: Actor, now: dt.datetime) -> CopiedCampaign:
    """Store a copy of the campaign, in any status, as a new draft under `name`."""
    with writing() as session:
        draft = draft_of(require_campaign(session, campaign_id))
        schedule = schedules.moved_forward(draft.schedule, now)
        copy = replace(draft, name=name, schedule=schedule)
        if not name.strip():
            raise Refusal(Problem("name_missing", "name"))
        refuse_unfit(session, copy)
        copy_id = add_row(session, copy, actor, now)
        log_action(session, actor, "copy", NOUN, copy_id, now, name=name, source=campaign_id)
    return CopiedCampaign(copy_id, moved=schedule != draft.schedule)
