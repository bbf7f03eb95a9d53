"""Drafts of campaigns: stored, edited, and checked for what keeps one from going out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import audience_rule, provenance
from smsapp.domain import campaign as rules
from smsapp.domain import schedule as schedules
from smsapp.domain.bounds import faults
from smsapp.domain.campaign import LONGEST_NAME, Action, DraftFacts, SecondFacts, Status, TextFacts
from smsapp.domain.draft import FIELDS, Draft
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.provenance import Provenance
from smsapp.domain.rights import Right
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.sms_template import fit, is_usable, neutral, variables
from smsapp.services.contacts import audience
from smsapp.services.platform import calendar
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.templates import sms_templates
from smsapp.store.campaigns import approvals, campaigns, draft_forms
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import segments
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

NOUN = "campaign"
FIRST_VERSION = 1
CHOICE_TABLES: Mapping[str, type[ChannelRow | SmsTemplate]] = {
    "channel": ChannelRow,
    "template": SmsTemplate,
}


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
    values = {name: getattr(campaign, name) for name in FIELDS if name not in ("schedule", "audience")}
    return Draft(
        **values,
        audience=audience_of(campaign),
        schedule=Schedule.from_json({"zone": campaign.zone} | campaign.schedule),
    )


def create(draft: Draft, actor: Actor, now: dt.datetime, form_key: str = "") -> int:
    """Store a new draft, complete or not, and return its id; raises Refusal if a part of it cannot be stored.

    If the form with this key has made a draft before, that one is edited: raises what `save` does.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    with writing() as session:
        refuse_unfit(session, draft)
        if not form_key or draft_forms.claim(session, form_key):
            campaign_id = add_row(session, draft, actor, now)
            if form_key:
                draft_forms.note(session, form_key, campaign_id)
            log_action(session, actor, "create", NOUN, campaign_id, now, name=draft.name)
            return campaign_id
        made = draft_forms.draft_of(session, form_key)
    if made is None:
        raise NotFound(NOUN)
    save(made, FIRST_VERSION, draft, actor, now)
    return made


def made_by_form(form_key: str) -> int | None:
    """Return the id of the draft that the form with this key has made."""
    return draft_forms.draft_of(current_session(), form_key) if form_key else None


def save(campaign_id: int, version: int, draft: Draft, actor: Actor, now: dt.datetime) -> int:
    """Store the edit that began from `version` and return the new version.

    Raises EditConflict if somebody else saved something different meanwhile, Conflict if it is no draft any more.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    with writing() as session:
        campaign = require_campaign(session, campaign_id)
        before = draft_of(campaign)
        if campaign.status == Status.DRAFT and before == draft:
            return campaign.version
        refuse_unfit(session, draft)
        origins = Provenance.from_json(campaign.provenance).after(before, draft, actor.program, now)
        saved = campaigns.move(
            session,
            campaign_id,
            Action.EDIT,
            Campaign.version == version,
            **_columns(draft),
            provenance=origins.as_json(),
            version=version + 1,
            updated_by=actor.user_id,
            updated_at=now,
        )
        if not saved:
            campaign = require_campaign(session, campaign_id)
            if campaign.status != Status.DRAFT:
                raise Conflict(status=campaign.status)
            raise EditConflict(draft_of(campaign), campaign.version)
        approvals.note_editor(session, campaign_id, actor.user_id)
        log_action(session, actor, "edit", NOUN, campaign_id, now, name=draft.name, version=version + 1)
    return version + 1


def problems(draft: Draft, now: dt.datetime) -> list[Problem]:
    """Return the problems for which this draft cannot go out yet, in the order of the form's sections."""
    return rules.problems(facts_of(current_session(), draft, now))


def add_row(session: Session, draft: Draft, actor: Actor, now: dt.datetime, origins: Provenance | None = None) -> int:
    """Store the draft as a new campaign and return its id; without `origins` all of it is the actor's."""
    campaign = Campaign(
        **_columns(draft),
        provenance=(provenance.of_new(draft, actor.program, now) if origins is None else origins).as_json(),
        status=Status.DRAFT,
        grace_minutes=settings().LATE_GRACE_MINUTES,
        created_by=actor.user_id,
        created_at=now,
        updated_by=actor.user_id,
        updated_at=now,
    )
    session.add(campaign)
    session.flush()
    approvals.note_editor(session, campaign.id, actor.user_id)
    return campaign.id


def _columns(draft: Draft) -> dict[str, Any]:
    """Return the draft as the columns of its campaign: each field as its own column, the schedule as three.

    The version before this one sends to one segment only; a draft that asks for more is none that it could send.
    """
    return {name: getattr(draft, name) for name in FIELDS} | {
        "audience": draft.audience.as_json(),
        "segment_id": draft.audience.only,
        "mapping": dict(draft.mapping),
        "schedule": draft.schedule.as_json(),
        "zone": draft.schedule.zone,
        "recurring": draft.schedule.recurring,
    }


def require_campaign(session: Session, campaign_id: int) -> Campaign:
    """Return the campaign; raises NotFound if there is none or it was deleted."""
    campaign = campaigns.find(session, campaign_id)
    if campaign is None:
        raise NotFound(NOUN)
    return campaign


def refuse_unfit(session: Session, draft: Draft) -> None:
    """Raise Refusal for what not even a draft may contain: a long name, choices that are gone, an unknown zone."""
    problems = []
    if len(draft.name) > LONGEST_NAME:
        problems.append(Problem("name_too_long", "name", {"most": LONGEST_NAME}))
    for name, row_id in draft.choices.items():
        place = name.removeprefix("second_")
        table = CHOICE_TABLES[place]
        if row_id is not None and session.get(table, row_id) is None:
            problems.append(Problem(f"{place}_gone", place))
    problems += audience_rule.problems(draft.audience)
    if len(segments.names(session, draft.audience.ids)) < len({*draft.audience.ids}):
        problems.append(Problem("segment_gone", "segment"))
    if not schedules.known_zone(draft.schedule.zone):
        problems.append(Problem("zone_unknown", "schedule", {"zone": draft.schedule.zone}))
    if problems:
        raise Refusal(*problems)


def facts_of(session: Session, draft: Draft, now: dt.datetime) -> DraftFacts:
    """Return the facts about a draft from which its problems follow."""
    there = segments.names(session, draft.audience.ids)
    return DraftFacts(
        **vars(text_facts_of(session, draft)),
        name=draft.name,
        included=sum(id_ in there for id_ in draft.audience.include),
        gone=len({*draft.audience.ids}) - len(there),
        second=_second(session, draft) if draft.second_channel_id else None,
        schedule_problems=schedules.problems(draft.schedule, now, calendar.rest_days()),
        unreadable=audience.problems(draft.audience, now),
        archived=segments.archived_names(session, draft.audience.ids),
    )


def text_facts_of(session: Session, draft: Draft, *, reload: bool = True) -> TextFacts:
    """Return the facts about a draft from which follows whether its text is finished."""
    channel = session.get(ChannelRow, draft.channel_id, populate_existing=reload) if draft.channel_id else None
    template = session.get(SmsTemplate, draft.template_id, populate_existing=reload) if draft.template_id else None
    names = variables(template.text) if template else ()
    return TextFacts(
        channel_id=channel.id if channel else None,
        channel_active=channel is not None and channel.active,
        template_id=template.id if template else None,
        template_approved=template is not None and is_usable(template.audit, template.purpose),
        template_of_channel=template is not None and template.channel_id == draft.channel_id,
        unmapped=rules.unmapped(names, draft.mapping),
        unfit=_unfit_texts(template, draft.mapping) if template else (),
        template_archived=template is not None and template.archived_at is not None,
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


def template_row(session: Session, template_id: int | None) -> SmsTemplate | None:
    """Return the template, reloaded from the database; None if none is chosen."""
    return session.get(SmsTemplate, template_id, populate_existing=True) if template_id else None


def _second(session: Session, draft: Draft) -> SecondFacts:
    first = session.get(SmsTemplate, draft.template_id) if draft.template_id else None
    main = session.get(ChannelRow, draft.channel_id) if draft.channel_id else None
    channel = session.get(ChannelRow, draft.second_channel_id, populate_existing=True)
    template = template_row(session, draft.second_template_id)
    return SecondFacts(
        same_channel=draft.second_channel_id == draft.channel_id,
        active=channel is not None and channel.active,
        chosen=template is not None,
        of_channel=template is not None and template.channel_id == draft.second_channel_id,
        approved=template is not None and is_usable(template.audit, template.purpose),
        fits=bool(template and (first is None or fit(variables(first.text), variables(template.text)))),
        same_purpose=bool(template and (first is None or first.purpose == template.purpose)),
        archived=template is not None and template.archived_at is not None,
        asks_for_trusted_numbers=bool(channel and channel.trusted_numbers and main and not main.trusted_numbers),
    )


def counterpart(template_id: int | None, channel_id: int) -> int | None:
    """Return the channel's approved template with the same purpose, wording and order of variables, if only one has."""
    template = template_row(current_session(), template_id)
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
