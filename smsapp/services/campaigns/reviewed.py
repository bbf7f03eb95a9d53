"""A confirmation by whoever has the digest of what was reviewed: programs, which have no page to look at."""

from __future__ import annotations

import datetime as dt
import hashlib

from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.campaigns import campaigns, drafts, rehearsals
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session


def digest(campaign: Campaign) -> str:
    """Return the digest of what a review of this draft shows: fields, texts, registrations, segments, prices."""
    parts = (str(campaign.version), _mark(campaign), rehearsals.digest_of(drafts.draft_of(campaign)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def confirm(campaign_id: int, seen: str, actor: Actor, now: dt.datetime) -> Status:
    """Confirm the campaign as `campaigns.confirm` does, if `seen` is the digest of what there is now.

    Raises Refusal if it is not, Conflict if the campaign is no draft (any more).
    """
    require(actor, Right.CAMPAIGNS_CONFIRM)
    campaign = campaigns.get(campaign_id)
    if campaign.status != Status.DRAFT:
        raise Conflict(status=campaign.status)
    version, mark = campaign.version, _mark(campaign)
    if digest(campaign) != seen:
        raise Refusal(Problem("review_stale", "digest"))
    return campaigns.confirm(campaign_id, version, mark, actor, now)


def _mark(campaign: Campaign) -> str:
    """Return the mark by which `campaigns.confirm` knows the texts that were reviewed; "" without a template."""
    session = current_session()
    template = drafts.template_row(session, campaign.template_id)
    second_id = campaign.second_template_id if campaign.second_channel_id else None
    return campaigns.review_mark(template, drafts.template_row(session, second_id)) if template else ""
