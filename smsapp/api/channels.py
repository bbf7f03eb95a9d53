"""Channels: which there are and how they do. They are set up by administrators in the pages only."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields

from smsapp.api.door import operation
from smsapp.domain.api_key import Scope
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.shapes import setup
from smsapp.shapes.fitting import answered_id

TAG = "channels"


class ChannelSchema(ma.Schema):
    id = answered_id()
    name = fields.String(required=True)
    kind = fields.String(required=True)
    active = fields.Boolean(required=True)
    rate = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Messages a second; null: no limit."}
    )
    phone_property = fields.String(required=True)


class ChannelListSchema(ma.Schema):
    items = fields.List(fields.Nested(ChannelSchema), required=True)


class ChannelHealthSchema(ma.Schema):
    channel_id = answered_id()
    in_trouble = fields.Boolean(
        required=True, metadata={"description": "The latest call failed for a reason of the account."}
    )
    last_success = fields.AwareDateTime(required=True, allow_none=True)
    accepted_day = fields.Integer(required=True, metadata={"description": "Messages of the last 24 hours."})
    failed_day = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": "Reason -> messages."}
    )
    waiting_for_receipts = fields.Integer(required=True, metadata={"description": "Accepted over two hours ago."})
    rate_in_use = fields.Integer(required=True, allow_none=True)


@operation("GET", "/channels", Scope.READ, TAG, answer=ChannelListSchema)
def list_channels() -> dict[str, Any]:
    """List all channels by name."""
    return {"items": [setup.channel(row) for row in accounts.everything()]}


@operation("GET", "/channels/<int:channel_id>/health", Scope.READ, TAG, answer=ChannelHealthSchema)
def show_channel_health(channel_id: int) -> dict[str, Any]:
    """Show how a channel does: its results, receipts that are missing, and its rate."""
    return setup.health(accounts.row(channel_id), clock.now())
