"""Channels: which there are and how they do. They are set up by administrators in the pages only."""

from __future__ import annotations

from collections import Counter
from typing import Any

import marshmallow as ma
from marshmallow import fields

from smsapp.api.door import operation
from smsapp.domain.api_key import Scope
from smsapp.domain.outcome import CallResult
from smsapp.services.channels import accounts, channel_health
from smsapp.services.channels.channel_health import Class
from smsapp.services.platform import clock

TAG = "channels"


class ChannelSchema(ma.Schema):
    id = fields.Integer(required=True)
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
    channel_id = fields.Integer(required=True)
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
    return {
        "items": [
            {
                "id": row.id,
                "name": row.name,
                "kind": row.kind,
                "active": row.active,
                "rate": row.rate,
                "phone_property": row.phone_property,
            }
            for row in accounts.everything()
        ]
    }


@operation("GET", "/channels/<int:channel_id>/health", Scope.READ, TAG, answer=ChannelHealthSchema)
def show_channel_health(channel_id: int) -> dict[str, Any]:
    """Show how a channel does: its results, receipts that are missing, and its rate."""
    row, now = accounts.row(channel_id), clock.now()
    health = channel_health.health(channel_id, now)
    return {
        "channel_id": channel_id,
        "in_trouble": health.trouble is not None,
        "last_success": health.last_success,
        "accepted_day": sum(n for (result, _), n in health.day.items() if result == CallResult.OK),
        "failed_day": _failures(health.day),
        "waiting_for_receipts": health.waiting,
        "rate_in_use": channel_health.pace(row, now).in_use,
    }


def _failures(day: Counter[Class]) -> dict[str, int]:
    failures: Counter[str] = Counter()
    for (result, reason), n in day.items():
        if result != CallResult.OK:
            failures[reason or result] += n
    return dict(failures)
