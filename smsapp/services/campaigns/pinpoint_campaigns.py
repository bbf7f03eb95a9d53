"""Campaigns of Amazon Pinpoint as drafts, with proposals for templates and a list of what a person has to choose."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from smsapp.domain import pinpoint_campaigns
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import LONGEST_NAME
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.pinpoint_campaigns import CampaignPlan, LeftOut
from smsapp.domain.property_labels import names_alike
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import Audit, Purpose, entry
from smsapp.services.campaigns import drafts
from smsapp.services.contacts import segments
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store import sms_templates as template_store
from smsapp.store.db import current_session
from smsapp.store.settings import settings


@dataclass(frozen=True)
class DraftResult:
    """What became of one campaign; the ids are None where nothing was written."""

    name: str
    is_draft: bool
    campaign_id: int | None = None
    template_id: int | None = None
    text: str = ""
    """The proposed text, in which variables are ours."""
    choices: list[Problem] = field(default_factory=list)
    """What a person has to choose, or why there is no draft."""


def take(
    content: bytes,
    actor: Actor,
    now: dt.datetime,
    *,
    channel_id: int | None = None,
    segment_names: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> list[DraftResult]:
    """Make a draft of each campaign that sends SMS; with a channel its text becomes a pending template there.

    A campaign that became a draft before becomes none again.

    `segment_names`: Pinpoint's segment id -> the name of a segment here. Raises Refusal if the file has no campaign,
    NotFound for an unknown segment; with `dry_run` nothing is written.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    try:
        document = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise Refusal(Problem("pinpoint_no_campaigns", "file")) from None
    segment_ids = {known: segments.named(name).id for known, name in (segment_names or {}).items()}
    plans = pinpoint_campaigns.read(document, settings().DEFAULT_ZONE)
    return [
        DraftResult(plan.name, False, choices=[plan.reason])
        if isinstance(plan, LeftOut)
        else _draft(plan, actor, now, channel_id, segment_ids, dry_run=dry_run)
        for plan in plans
    ]


def _draft(
    plan: CampaignPlan,
    actor: Actor,
    now: dt.datetime,
    channel_id: int | None,
    segment_ids: Mapping[str, int],
    *,
    dry_run: bool,
) -> DraftResult:
    key = _key(plan)
    if (earlier_id := drafts.made_by_form(key)) is not None:
        return DraftResult(plan.name, False, choices=[Problem("pinpoint_before", facts={"draft": earlier_id})])
    choices = list(plan.choices)
    segment_id = segment_ids.get(plan.segment_id)
    if segment_id is None:
        choices.insert(0, Problem("pinpoint_segment", facts={"segment": plan.segment_id or "–"}))
    mapping = _mapping(plan, choices)
    template_id = None
    if channel_id is None:
        choices.append(Problem("pinpoint_channel"))
    elif plan.text:
        template_id = None if dry_run else _template(plan, channel_id, actor, now, choices)
        if dry_run or template_id:
            choices.append(Problem("pinpoint_template_pending"))
    draft = Draft(
        name=plan.name[:LONGEST_NAME],
        audience=AudienceRule.of(segment_id),
        channel_id=channel_id,
        template_id=template_id,
        mapping=mapping,
        schedule=plan.schedule,
    )
    campaign_id = None if dry_run else drafts.create(draft, actor, now, key)
    return DraftResult(plan.name, True, campaign_id, template_id, plan.text, choices)


def _key(plan: CampaignPlan) -> str:
    """Return what tells that a campaign was imported before; "" for one without an id."""
    name = f"pinpoint campaign {plan.source_id}".encode()
    return hashlib.blake2b(name, digest_size=16).hexdigest() if plan.source_id else ""


def _mapping(plan: CampaignPlan, choices: list[Problem]) -> dict[str, dict[str, str | None]]:
    catalogue = {property_.name: property_.label for property_ in segments.catalogue()}
    mapping: dict[str, dict[str, str | None]] = {}
    for variable, attribute in plan.variables.items():
        name = names_alike(attribute, catalogue)
        if name is None:
            choices.append(Problem("pinpoint_variable", facts={"variable": variable}))
        else:
            mapping[variable] = {"property": name, "fallback": None}
    return mapping


def _template(
    plan: CampaignPlan, channel_id: int, actor: Actor, now: dt.datetime, choices: list[Problem]
) -> int | None:
    """Return the channel's template with this text, a new pending one if there is none; None if it cannot be one."""
    purpose = plan.purpose or Purpose.MARKETING
    wanted = entry(name=plan.name[:LONGEST_NAME], text=plan.text, purpose=purpose)
    if existing := template_store.by_code(current_session(), channel_id, [wanted.code]):
        return next(iter(existing.values())).id
    try:
        return sms_templates.create(channel_id, wanted, Audit.PENDING, actor, now).id
    except Refusal as refusal:
        choices += [replace(problem, place="template") for problem in refusal.problems]
        return None
