"""What becomes of a campaign: its runs, the numbers that add up, its messages, who got none; pause, resume, end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.campaigns import CampaignSchema, reachable, show_campaign
from smsapp.api.door import operation
from smsapp.domain.api_key import Scope
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.outcome import Outcome
from smsapp.domain.recipients import GROUPS, Group, Place, Recipient, group
from smsapp.services.campaigns import campaigns
from smsapp.services.platform import clock
from smsapp.services.reports import recipient_list, reports
from smsapp.services.sending import actions
from smsapp.shapes import people
from smsapp.shapes import runs as shapes
from smsapp.shapes.fitting import Whole, answered_id

TAG = "numbers"
STATES = [name for name, one in GROUPS.items() if one.states and not one.left]


class FunnelSchema(ma.Schema):
    """target = planned + excluded; planned = the sum of messages."""

    target = fields.Integer(required=True)
    effective = fields.Integer(required=True)
    planned = fields.Integer(required=True)
    accepted = fields.Integer(required=True)
    delivered = fields.Integer(required=True)
    parts = fields.Integer(required=True)
    excluded = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": "Reason -> people."}
    )
    messages = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": "State -> messages."}
    )


class RunSchema(ma.Schema):
    id = answered_id()
    slot = fields.AwareDateTime(required=True, metadata={"description": "The moment it is for."})
    state = fields.String(required=True)
    hold_reason = fields.String(required=True)
    verdict = fields.String(required=True)
    repeats = fields.Integer(required=True, allow_none=True, metadata={"description": "The run it sends again."})
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    funnel = fields.Nested(FunnelSchema, required=True)


class RunListSchema(ma.Schema):
    items = fields.List(fields.Nested(RunSchema), required=True)


class MessageSchema(ma.Schema):
    run_id = answered_id()
    position = fields.Integer(required=True)
    user_id = fields.String(required=True, metadata={"description": "Empty if the contact was deleted since."})
    phone = fields.String(required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "The provider's own code."})
    parts = fields.Integer(required=True, allow_none=True)
    answered_at = fields.AwareDateTime(required=True, allow_none=True)
    receipt_at = fields.AwareDateTime(required=True, allow_none=True)


class MessagePageSchema(ma.Schema):
    items = fields.List(fields.Nested(MessageSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class ExclusionSchema(ma.Schema):
    run_id = answered_id()
    user_id = fields.String(required=True)
    phone = fields.String(required=True)
    reason = fields.String(required=True)


class ExclusionPageSchema(ma.Schema):
    items = fields.List(fields.Nested(ExclusionSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class OfRunQuery(ma.Schema):
    after = fields.String(
        validate=Whole(r"^[0-9]{1,18}-(m[0-9]{1,9}|x[0-9]{1,18})$"),
        metadata={"description": "`next` of the page before."},
    )
    run_id = fields.Integer(validate=validate.Range(1, 2**63 - 1))


class MessageQuery(OfRunQuery):
    state = fields.String(load_default="planned", validate=validate.OneOf(STATES))
    reason = fields.Enum(Outcome, by_value=True)


class ExclusionQuery(OfRunQuery):
    reason = fields.Enum(ExclusionReason, by_value=True)


@operation("GET", "/campaigns/<int:campaign_id>/funnel", Scope.READ, TAG, answer=FunnelSchema)
def show_funnel(campaign_id: int) -> dict[str, Any]:
    """Show the numbers of a campaign over all its runs."""
    return shapes.funnel(reports.report(campaign_id, None, clock.now()).funnel)


@operation("GET", "/campaigns/<int:campaign_id>/runs", Scope.READ, TAG, answer=RunListSchema)
def list_runs(campaign_id: int) -> dict[str, Any]:
    """List the runs of a campaign, newest first."""
    return {"items": [shapes.run(line) for line in reports.report(campaign_id, None, clock.now()).runs]}


@operation("GET", "/campaigns/<int:campaign_id>/runs/<long:run_id>", Scope.READ, TAG, answer=RunSchema)
def show_run(campaign_id: int, run_id: int) -> dict[str, Any]:
    """Show one run."""
    return shapes.run(reports.report(campaign_id, run_id, clock.now()).runs[0])


@operation(
    "GET", "/campaigns/<int:campaign_id>/messages", Scope.READ, TAG, query=MessageQuery, answer=MessagePageSchema
)
def list_messages(campaign_id: int, query: Mapping[str, Any]) -> dict[str, Any]:
    """List messages by state and reason, with what the provider and the carrier said."""
    reason = query.get("reason")
    wanted = group(query["state"], reason.value if reason else "")
    page = _people(campaign_id, query, wanted)
    return {"items": [people.message(one, door.sight()) for one in page[0]], "next": page[1]}


@operation(
    "GET", "/campaigns/<int:campaign_id>/exclusions", Scope.READ, TAG, query=ExclusionQuery, answer=ExclusionPageSchema
)
def list_exclusions(campaign_id: int, query: Mapping[str, Any]) -> dict[str, Any]:
    """List the targeted people who got no message, each with one reason."""
    reason = query.get("reason")
    rows, following = _people(campaign_id, query, group("left_out", reason.value if reason else ""))
    items = [people.exclusion(one, door.sight()) for one in rows]
    return {"items": items, "next": following}


@operation(
    "POST", "/campaigns/<int:campaign_id>/stop", Scope.WRITE, "campaigns", answer=CampaignSchema, again=show_campaign
)
def stop_campaign(campaign_id: int) -> dict[str, Any]:
    """Stop a campaign that waits, so that it does not begin (again)."""
    reachable(campaign_id)
    campaigns.stop(campaign_id, door.actor(), clock.now())
    return show_campaign(campaign_id)


@operation(
    "POST", "/campaigns/<int:campaign_id>/pause", Scope.WRITE, "campaigns", answer=CampaignSchema, again=show_campaign,
    repeats=True,
)  # fmt: skip
def pause_campaign(campaign_id: int) -> dict[str, Any]:
    """Hold what is being sent, until it is resumed."""
    reachable(campaign_id)
    actions.to_each_run(campaign_id, actions.pause, door.actor(), clock.now())
    return show_campaign(campaign_id)


@operation(
    "POST", "/campaigns/<int:campaign_id>/resume", Scope.CONFIRM, "campaigns", answer=CampaignSchema,
    again=show_campaign,
)  # fmt: skip
def resume_campaign(campaign_id: int) -> dict[str, Any]:
    """Let what is held go on with exactly the messages that were not sent."""
    reachable(campaign_id)
    actions.to_each_run(campaign_id, actions.resume, door.actor(), clock.now())
    return show_campaign(campaign_id)


@operation(
    "POST", "/campaigns/<int:campaign_id>/end", Scope.WRITE, "campaigns", answer=CampaignSchema, again=show_campaign,
    repeats=True,
)  # fmt: skip
def end_campaign(campaign_id: int) -> dict[str, Any]:
    """Cancel what was not sent; what is in flight is waited for."""
    reachable(campaign_id)
    actions.to_each_run(campaign_id, actions.end, door.actor(), clock.now())
    return show_campaign(campaign_id)


def _people(campaign_id: int, query: Mapping[str, Any], wanted: Group | None) -> tuple[list[Recipient], str | None]:
    """Return one page of a group and the cursor of the next one."""
    place = Place.read(query.get("after", ""))
    anybody = recipient_list.parse_phone_query("")
    page = recipient_list.page(campaign_id, query.get("run_id"), wanted or GROUPS["planned"], anybody, place)
    return list(page.rows), door.cursor(page.next)
