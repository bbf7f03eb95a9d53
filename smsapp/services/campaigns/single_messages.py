"""One message to one person: a campaign for a segment of one, with the rules and the ledger of every other."""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
from collections.abc import Mapping

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import LONGEST_NAME
from smsapp.domain.draft import Draft
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.segment import EVERYONE
from smsapp.domain.segment import Kind as SegmentKind
from smsapp.domain.sms_template import Purpose
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.contacts import contact_upserts, segments, uploaded_lists
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import segments as rows
from smsapp.store.contacts.uploaded_lists import Staged
from smsapp.store.db import writing
from smsapp.store.settings import settings

NAME = "API: "
"""How the name of such a campaign begins."""


def get(message_id: int) -> Campaign:
    """Return the campaign a single message has become; raises NotFound."""
    campaign = campaigns.get(message_id)
    if not campaign.name.startswith(NAME):
        raise NotFound("message")
    return campaign


def send(user_id: str, template_id: int, values: Mapping[str, str], actor: Actor, now: dt.datetime) -> int:
    """Send an approved template that is no marketing to a contact now; return the campaign it has become.

    `values` fill the template's variables. Raises NotFound, or Refusal with everything that keeps it from going out.
    Only the confirmation counts as the effect of a request that may be sent again: what comes before sends nothing.
    """
    require(actor, Right.CAMPAIGNS_CONFIRM)
    template = sms_templates.get(template_id)
    if template.purpose == Purpose.MARKETING:
        raise Refusal(Problem("single_marketing", "template_id"))
    contact = contact_upserts.by_user_id(user_id)
    before = dataclasses.replace(actor, request=None)
    draft = Draft(
        name=f"{NAME}{template.name}"[:LONGEST_NAME],
        channel_id=template.channel_id,
        template_id=template_id,
        mapping={name: {"fixed": value} for name, value in values.items()},
        schedule=Schedule(Kind.NOW, settings().DEFAULT_ZONE),
        seeds=False,
    )
    segment_id, campaign_id = _segment_of(contact.id, before, now), None
    try:
        campaign_id = drafts.create(dataclasses.replace(draft, audience=AudienceRule.of(segment_id)), before, now)
        if problems := drafts.problems(drafts.draft_of(campaigns.get(campaign_id)), now):
            raise Refusal(*problems)
        campaigns.confirm(campaign_id, drafts.FIRST_VERSION, campaigns.review_mark(template, None), actor, now)
    except Refusal:
        _undo(segment_id, campaign_id, before, now)
        raise
    with writing() as session:
        rows.archive(session, segment_id, now)
    return campaign_id


def _segment_of(contact_id: int, actor: Actor, now: dt.datetime) -> int:
    """Store a segment of this one contact, as a list of one user id; return its id."""
    with writing() as session:
        name = f"API {secrets.token_hex(8)}"
        segment = segments.prepared(session, None, name, SegmentKind.UPLOADED, EVERYONE, actor, now)
        segment.size, segment.computed_at = rows.fill(session, segment.id, rows.only(contact_id)), now
        segment.rule = uploaded_lists.rule_of("API", uploaded_lists.USER_ID, 1, Staged(1, 1, []))
        return segment.id


def _undo(segment_id: int, campaign_id: int | None, actor: Actor, now: dt.datetime) -> None:
    """Leave neither draft nor segment of a message that is refused, unless a person has sent the draft meanwhile."""
    if campaign_id is not None and campaigns.delete([campaign_id], actor, now):
        return
    with writing() as session:
        rows.remove(session, segment_id)
