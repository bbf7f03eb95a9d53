"""Campaigns: drafts are stored and edited; campaigns are confirmed, stopped, copied and deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain import campaign as rules
from smsapp.domain import schedule as schedules
from smsapp.domain.bounds import faults
from smsapp.domain.campaign import LONGEST_NAME, Action, DraftFacts, SecondFacts, Status
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.sms_template import fit, is_usable, neutral, variables
from smsapp.services.contacts import audience
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import drift, starting
from smsapp.services.templates import approvals, sms_templates
from smsapp.store import queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

NOUN = "campaign"


@dataclass(frozen=True)
class Draft:
    """The fields of a draft; anything but the schedule's kind and zone may be missing."""

    name: str = ""
    segment_id: int | None = None
    channel_id: int | None = None
    template_id: int | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """variable -> {"property": name, "fallback": text or None} or {"fixed": text}"""
    schedule: Schedule = field(default_factory=Schedule)
    second_channel_id: int | None = None
    second_template_id: int | None = None

    def differences(self, other: Draft) -> list[str]:
        """Return the names of the parts in which the two differ, in the order of the form."""
        return [part.name for part in fields(self) if getattr(self, part.name) != getattr(other, part.name)]


class EditConflict(Refusal):
    """Somebody saved the draft after this edit began; `saved` is the stored draft, nothing was overwritten."""

    def __init__(self, saved: Draft, version: int) -> None:
        self.saved = saved
        self.version = version
        super().__init__(Problem("draft_overtaken"))


def blank() -> Draft:
    """Return a draft with nothing chosen, in the product's zone."""
    return Draft(schedule=Schedule(Kind.NOW, settings().DEFAULT_ZONE))


def draft_of(campaign: Campaign) -> Draft:
    """Return the editable part of a campaign."""
    return Draft(
        campaign.name,
        campaign.segment_id,
        campaign.channel_id,
        campaign.template_id,
        campaign.mapping,
        Schedule.from_json({"zone": campaign.zone} | campaign.schedule),
        campaign.second_channel_id,
        campaign.second_template_id,
    )


def get(campaign_id: int) -> Campaign:
    """Return the campaign; raises NotFound if there is none or it was deleted."""
    return _found(current_session(), campaign_id)


def create_draft(draft: Draft, actor: Actor, now: dt.datetime) -> int:
    """Store a new draft, complete or not, and return its id; raises Refusal if a part of it cannot be stored."""
    with writing() as session:
        _refuse_unfit(session, draft)
        campaign_id = _add(session, draft, actor, now)
        log_action(session, actor, "create", NOUN, campaign_id, now, name=draft.name)
    return campaign_id


def save_draft(campaign_id: int, version: int, draft: Draft, actor: Actor, now: dt.datetime) -> int:
    """Store the edit that began from `version` and return the new version.

    Raises Overtaken if somebody else saved something different meanwhile, Outrun if it is no draft any more.
    """
    with writing() as session:
        campaign = _found(session, campaign_id)
        if campaign.status == Status.DRAFT and draft_of(campaign) == draft:
            return campaign.version
        _refuse_unfit(session, draft)
        saved = campaigns.move(
            session,
            campaign_id,
            Action.EDIT,
            Campaign.version == version,
            **_columns(draft),
            version=version + 1,
            updated_by=actor.user_id,
            updated_at=now,
        )
        if not saved:
            campaign = _found(session, campaign_id)
            if campaign.status != Status.DRAFT:
                raise Conflict(status=campaign.status)
            raise EditConflict(draft_of(campaign), campaign.version)
        log_action(session, actor, "edit", NOUN, campaign_id, now, name=draft.name, version=version + 1)
    return version + 1


def problems(draft: Draft, now: dt.datetime) -> list[Problem]:
    """Return the problems for which this draft cannot go out yet, in the order of the form's sections."""
    return rules.problems(_facts(current_session(), draft, now))


def confirm(campaign_id: int, version: int, seen_text: str, actor: Actor, now: dt.datetime) -> Status:
    """Send the campaign now, or let it wait for its time; return its new status.

    Exactly one of several confirmations succeeds: the others raise Outrun. Raises Overtaken if the draft is not the one
    that was reviewed, and Refusal with every problem for which it cannot go out.
    """
    due: dt.datetime | None = None
    run_id: int | None = None
    reviewed = _reviewed(campaign_id, now)  # before the transaction: a million people take a while to count
    with writing() as session:
        campaign = _found(session, campaign_id)
        draft = draft_of(campaign)
        if campaign.status != Status.DRAFT:
            raise Conflict(status=campaign.status)
        if campaign.version != version:
            raise EditConflict(draft, campaign.version)
        draft_problems = rules.problems(_facts(session, draft, now))
        template = _template(session, draft.template_id)
        if draft_problems or template is None:
            raise Refusal(*draft_problems)
        second = _template(session, draft.second_template_id if draft.second_channel_id else None)
        if seen(template, second) != seen_text:
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
            run_id = runs.add_run(session, _found(session, campaign_id), slot=now, now=now) if is_confirmed else None
        else:
            due = schedules.next_due(draft.schedule, now)
            values["next_due_at"] = due
            is_confirmed = campaigns.move(session, campaign_id, Action.SCHEDULE, Campaign.version == version, **values)
        if not is_confirmed:
            raise Conflict(status=_found(session, campaign_id).status)
        facts = {"next_due_at": due.isoformat()} if due else {}
        log_action(session, actor, "confirm", NOUN, campaign_id, now, name=campaign.name, **facts)
    if due is not None:
        starting.enqueue_when_due(campaign_id, due)
        return Status.WAITING
    queue.enqueue(queue.SEND, "send", run_id)
    return Status.SENDING


def _reviewed(campaign_id: int, now: dt.datetime) -> dict[str, Any] | None:
    """Return the present audience of the draft, for comparison with its runs' audiences; None if it cannot go out."""
    draft = draft_of(get(campaign_id))
    if problems(draft, now) or draft.segment_id is None or draft.template_id is None:
        return None
    return drift.reviewed(draft.segment_id, draft.channel_id, draft.template_id, draft.mapping, now)


def seen(template: SmsTemplate, second: SmsTemplate | None) -> str:
    """Return the mark of the texts a person reviewed: those of the template and of its counterpart."""
    return " ".join(sms_templates.seen(item) for item in (template, second) if item)


def stop(campaign_id: int, actor: Actor, now: dt.datetime) -> None:
    """Stop a waiting campaign, so that it does not begin (again). Raises Outrun if it does not wait (any more)."""
    with writing() as session:
        campaign = _found(session, campaign_id)
        if not campaigns.move(session, campaign_id, Action.STOP, next_due_at=None):
            raise Conflict(status=_found(session, campaign_id).status)
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
        draft = draft_of(_found(session, campaign_id))
        schedule = schedules.moved_forward(draft.schedule, now)
        copy = replace(draft, name=name, schedule=schedule)
        if not name.strip():
            raise Refusal(Problem("name_missing", "name"))
        _refuse_unfit(session, copy)
        copy_id = _add(session, copy, actor, now)
        log_action(session, actor, "copy", NOUN, copy_id, now, name=name, source=campaign_id)
    return CopiedCampaign(copy_id, moved=schedule != draft.schedule)


def _add(session: Session, draft: Draft, actor: Actor, now: dt.datetime) -> int:
    campaign = Campaign(
        **_columns(draft),
        status=Status.DRAFT,
        grace_minutes=settings().LATE_GRACE_MINUTES,
        created_by=actor.user_id,
        created_at=now,
        updated_by=actor.user_id,
        updated_at=now,
    )
    session.add(campaign)
    session.flush()
    return campaign.id


def _columns(draft: Draft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "segment_id": draft.segment_id,
        "channel_id": draft.channel_id,
        "template_id": draft.template_id,
        "second_channel_id": draft.second_channel_id,
        "second_template_id": draft.second_template_id,
        "mapping": dict(draft.mapping),
        "schedule": draft.schedule.as_json(),
        "zone": draft.schedule.zone,
        "recurring": draft.schedule.recurring,
    }


def _found(session: Session, campaign_id: int) -> Campaign:
    campaign = campaigns.find(session, campaign_id)
    if campaign is None:
        raise NotFound(NOUN)
    return campaign


def _refuse_unfit(session: Session, draft: Draft) -> None:
    """Raise Refusal for what not even a draft may contain: a long name, choices that are gone, an unknown zone."""
    problems = []
    if len(draft.name) > LONGEST_NAME:
        problems.append(Problem("name_too_long", "name", {"most": LONGEST_NAME}))
    for place, table, row_id in (
        ("segment", Segment, draft.segment_id),
        ("channel", ChannelRow, draft.channel_id),
        ("template", SmsTemplate, draft.template_id),
        ("channel", ChannelRow, draft.second_channel_id),
        ("template", SmsTemplate, draft.second_template_id),
    ):
        if row_id is not None and session.scalar(sa.select(table.id).where(table.id == row_id)) is None:
            problems.append(Problem(f"{place}_gone", place))
    if not schedules.known_zone(draft.schedule.zone):
        problems.append(Problem("zone_unknown", "schedule", {"zone": draft.schedule.zone}))
    if problems:
        raise Refusal(*problems)


def _facts(session: Session, draft: Draft, now: dt.datetime) -> DraftFacts:
    segment = session.get(Segment, draft.segment_id) if draft.segment_id else None
    channel = session.get(ChannelRow, draft.channel_id, populate_existing=True) if draft.channel_id else None
    template = _template(session, draft.template_id)
    names = variables(template.text) if template else ()
    return DraftFacts(
        name=draft.name,
        segment_id=segment.id if segment else None,
        channel_id=channel.id if channel else None,
        channel_active=channel is not None and channel.active,
        template_id=template.id if template else None,
        template_approved=template is not None and is_usable(template.audit, template.purpose),
        template_of_channel=template is not None and template.channel_id == draft.channel_id,
        unmapped=rules.unmapped(names, draft.mapping),
        unfit=_unfit_texts(template, draft.mapping) if template else (),
        second=_second(session, draft, template) if draft.second_channel_id else None,
        schedule_problems=schedules.problems(draft.schedule, now),
    )


def _unfit_texts(template: SmsTemplate, mapping: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with fixed texts and fallbacks."""
    problems = []
    for name in variables(template.text):
        source = mapping.get(name, {})
        bound = audience.bound_of(template, name)
        text = source.get("fixed") or source.get("fallback") or ""
        facts = {"variable": name, "longest": bound.longest}
        problems += [Problem(f"variable_{fault}", "template", facts) for fault in faults(text, bound)]
    return problems


def _template(session: Session, template_id: int | None) -> SmsTemplate | None:
    return session.get(SmsTemplate, template_id, populate_existing=True) if template_id else None


def _second(session: Session, draft: Draft, first: SmsTemplate | None) -> SecondFacts:
    main = session.get(ChannelRow, draft.channel_id) if draft.channel_id else None
    channel = session.get(ChannelRow, draft.second_channel_id, populate_existing=True)
    template = _template(session, draft.second_template_id)
    return SecondFacts(
        same_channel=draft.second_channel_id == draft.channel_id,
        active=channel is not None and channel.active,
        chosen=template is not None,
        of_channel=template is not None and template.channel_id == draft.second_channel_id,
        approved=template is not None and is_usable(template.audit, template.purpose),
        fits=bool(template and (first is None or fit(variables(first.text), variables(template.text)))),
        same_purpose=bool(template and (first is None or first.purpose == template.purpose)),
        asks_for_trusted_numbers=bool(channel and channel.trusted_numbers and main and not main.trusted_numbers),
    )


def counterpart(template_id: int | None, channel_id: int) -> int | None:
    """Return the channel's approved template with the same purpose, wording and order of variables, if only one has."""
    template = _template(current_session(), template_id)
    if template is None:
        return None
    matches = [
        choice.id
        for choice in sms_templates.choices(channel_id)
        if neutral(choice.text) == neutral(template.text)
        and choice.purpose == template.purpose
        and fit(variables(template.text), variables(choice.text))
    ]
    return matches[0] if len(matches) == 1 else None
