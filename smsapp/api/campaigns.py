"""Campaigns: listed, drafted, estimated, rehearsed, confirmed by the digest of what was reviewed, and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import SizedQuery, operation
from smsapp.api.problems import ErrorSchema
from smsapp.domain.api_key import Scope
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Refusal
from smsapp.services.campaigns import campaign_list, campaign_review, campaigns, drafts, rehearsals, reviewed
from smsapp.services.campaigns.campaign_list import Wanted
from smsapp.services.platform import clock
from smsapp.shapes import campaigns as shapes
from smsapp.shapes.drafts import DraftSchema, EditSchema, draft
from smsapp.shapes.fitting import Whole, answered_id

if TYPE_CHECKING:
    from smsapp.store.campaigns.campaigns import Campaign

TAG = "campaigns"
DIGEST = r"^[0-9a-f]{64}$"


class CampaignSchema(ma.Schema):
    id = answered_id()
    name = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": [status.value for status in Status]})
    version = fields.Integer(required=True)
    audience = fields.Dict(required=True)
    channel_id = fields.Integer(required=True, allow_none=True)
    template_id = fields.Integer(required=True, allow_none=True)
    second_channel_id = fields.Integer(required=True, allow_none=True)
    second_template_id = fields.Integer(required=True, allow_none=True)
    mapping = fields.Dict(required=True)
    schedule = fields.Dict(required=True)
    consented_only = fields.Boolean(required=True)
    seeds = fields.Boolean(required=True)
    provenance = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(),
        required=True,
        metadata={"description": "Part of the draft -> the key, door and moment by which a program set it last."},
    )
    next_due_at = fields.AwareDateTime(required=True, allow_none=True)
    failure = fields.String(required=True, metadata={"description": "Why the last run failed; else empty."})
    created_at = fields.AwareDateTime(required=True)
    confirmed_at = fields.AwareDateTime(required=True, allow_none=True)


class CampaignPageSchema(ma.Schema):
    items = fields.List(fields.Nested(CampaignSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class CampaignQuery(SizedQuery):
    status = fields.Enum(Status, by_value=True)
    search = fields.String(validate=validate.Length(max=120))
    channel_id = fields.Integer(validate=validate.Range(1, 2**31 - 1))


class EstimateSchema(ma.Schema):
    """What a campaign would do if it were confirmed now."""

    digest = fields.String(
        required=True,
        validate=Whole(DIGEST),
        metadata={"description": "Names all of this; confirm asks for it.", "example": "0123456789abcdef" * 4},
    )
    version = fields.Integer(required=True)
    ready = fields.Boolean(required=True)
    target = fields.Integer(required=True)
    effective = fields.Integer(required=True)
    planned = fields.Integer(required=True)
    excluded = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    parts = fields.Integer(required=True, allow_none=True, metadata={"description": "Billed parts, from a sample."})
    amount = fields.String(required=True, allow_none=True)
    currency = fields.String(required=True)
    begins_at = fields.AwareDateTime(required=True, allow_none=True)
    ends_at = fields.AwareDateTime(required=True, allow_none=True)
    text = fields.String(required=True, metadata={"description": "The first text, as the key may see it."})
    problems = fields.List(fields.Nested(ErrorSchema), required=True)
    warnings = fields.List(fields.Nested(ErrorSchema), required=True)


class ConfirmSchema(ma.Schema):
    digest = fields.String(required=True, validate=Whole(DIGEST))


class RehearsalSchema(ma.Schema):
    made = fields.Boolean(required=True, metadata={"description": "False if there is no result (yet)."})
    running = fields.Boolean(required=True)
    failed = fields.Boolean(required=True)
    stale = fields.Boolean(required=True, metadata={"description": "Made for another state of the campaign."})
    done = fields.Integer(required=True, metadata={"description": "People read so far."})
    whole = fields.Integer(required=True)
    planned = fields.Integer(required=True, allow_none=True)
    excluded = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    parts = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": "Parts -> messages."}
    )
    longest = fields.Integer(required=True, allow_none=True)
    ends_at = fields.AwareDateTime(required=True, allow_none=True)


class CampaignGoneSchema(ma.Schema):
    deleted = fields.Boolean(required=True)


def show_campaign(campaign_id: int) -> dict[str, Any]:
    """Show a campaign."""
    return shapes.campaign(campaigns.get(campaign_id), door.sight())


def show_rehearsal(campaign_id: int) -> dict[str, Any]:
    """Show how the rehearsal of a campaign stands."""
    return shapes.rehearsal(rehearsals.view(campaign_id))


@operation("GET", "/campaigns", Scope.READ, TAG, query=CampaignQuery, answer=CampaignPageSchema)
def list_campaigns(query: Mapping[str, Any]) -> dict[str, Any]:
    """List campaigns, newest first."""
    wanted = Wanted(status=query.get("status"), keyword=query.get("search", ""), channel_id=query.get("channel_id"))
    after, limit = door.cursor_id(query, door.HIGHEST) or 0, query["limit"]
    listing = campaign_list.listing(wanted, clock.now(), after=after, limit=limit)
    return {
        "items": [shapes.campaign(line.campaign, door.sight()) for line in listing.lines],
        "next": door.cursor(listing.older),
    }


@operation(
    "POST", "/campaigns", Scope.DRAFT, TAG, body=DraftSchema, answer=CampaignSchema, status=201, again=show_campaign
)
def create_campaign(body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a draft, complete or not."""
    new = draft(body, drafts.blank())
    door.refuse_real_channels(new.channel_id, new.second_channel_id)
    return show_campaign(drafts.create(new, door.actor(), clock.now()))


operation("GET", "/campaigns/<int:campaign_id>", Scope.READ, TAG, answer=CampaignSchema)(show_campaign)


@operation(
    "PUT", "/campaigns/<int:campaign_id>", Scope.DRAFT, TAG, body=EditSchema, answer=CampaignSchema, errors=(409,)
)
def edit_campaign(campaign_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the fields of a draft; refused if somebody else has saved another version meanwhile."""
    new = draft(body, drafts.draft_of(reachable(campaign_id)))
    door.refuse_real_channels(new.channel_id, new.second_channel_id)
    drafts.save(campaign_id, body["version"], new, door.actor(), clock.now())
    return show_campaign(campaign_id)


@operation("DELETE", "/campaigns/<int:campaign_id>", Scope.WRITE, TAG, answer=CampaignGoneSchema, errors=(409,))
def delete_campaign(campaign_id: int) -> dict[str, Any]:
    """Delete a campaign that neither waits nor is being sent; its ledger stays."""
    status = reachable(campaign_id).status
    if campaigns.delete([campaign_id], door.actor(), clock.now()):
        raise Conflict(status=status)
    return {"deleted": True}


@operation("GET", "/campaigns/<int:campaign_id>/estimate", Scope.READ, TAG, answer=EstimateSchema)
def estimate_campaign(campaign_id: int) -> dict[str, Any]:
    """Show what a campaign would do: people, parts, cost, time, what is missing, and the digest to confirm."""
    review = campaign_review.review(campaign_id, 0, clock.now())
    return {"digest": reviewed.digest(review.campaign)} | shapes.estimate(review, door.sight())


operation("GET", "/campaigns/<int:campaign_id>/rehearsal", Scope.READ, TAG, answer=RehearsalSchema)(show_rehearsal)


@operation(
    "POST", "/campaigns/<int:campaign_id>/rehearsal", Scope.DRAFT, TAG, answer=RehearsalSchema, status=202,
    again=show_rehearsal,
)  # fmt: skip
def rehearse_campaign(campaign_id: int) -> dict[str, Any]:
    """Render every text without sending: a small audience at once, a large one by a worker."""
    view, now = rehearsals.begin(campaign_id, door.actor(), clock.now(), anew=True), clock.now()
    if view is None:
        raise Refusal(*drafts.problems(drafts.draft_of(campaigns.get(campaign_id)), now))
    return shapes.rehearsal(view)


@operation(
    "POST", "/campaigns/<int:campaign_id>/confirm", Scope.CONFIRM, TAG, body=ConfirmSchema, answer=CampaignSchema,
    status=202, again=show_campaign,
)  # fmt: skip
def confirm_campaign(campaign_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Let the campaign go, now or at its time: with the digest of its estimate. Its run is stored with the answer."""
    reachable(campaign_id)
    reviewed.confirm(campaign_id, body["digest"], door.actor(), clock.now())
    return show_campaign(campaign_id)


def reachable(campaign_id: int) -> Campaign:
    """Return the campaign; raises NotFound, or Refused if this is a test key and it is for real channels."""
    campaign = campaigns.get(campaign_id)
    door.refuse_real_channels(campaign.channel_id, campaign.second_channel_id)
    return campaign
