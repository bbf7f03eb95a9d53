"""One message to one person, from an approved template, under the same rules as every campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import HIGHEST, operation
from smsapp.domain.api_key import Scope
from smsapp.domain.contact import MAX_ID
from smsapp.domain.recipients import GROUPS, Recipient
from smsapp.services.campaigns import single_messages
from smsapp.services.platform import clock
from smsapp.services.reports import recipient_list
from smsapp.services.templates import sms_templates
from smsapp.shapes.drafts import MOST_TEXT

TAG = "messages"


class NewMessageSchema(ma.Schema):
    user_id = fields.String(
        required=True, validate=validate.Length(1, MAX_ID), metadata={"description": "Of a contact."}
    )
    template_id = fields.Integer(required=True, validate=validate.Range(1, HIGHEST))
    values = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Length(max=MOST_TEXT)),
        load_default=dict,
        metadata={"description": "Variable of the template -> its text."},
    )


class SentMessageSchema(ma.Schema):
    id = fields.Integer(required=True, metadata={"description": "Of the campaign the message has become."})
    status = fields.String(required=True, metadata={"description": "Of that campaign."})
    phone = fields.String(required=True, metadata={"description": "Empty until the message is written."})
    state = fields.String(required=True, metadata={"description": "Empty until then, and if it was left out."})
    reason = fields.String(required=True, metadata={"description": "Why it failed, or why the person was left out."})
    receipt_at = fields.AwareDateTime(required=True, allow_none=True)


def show_message(message_id: int) -> dict[str, Any]:
    """Show what became of a message."""
    campaign = single_messages.get(message_id)
    anybody = recipient_list.parse_phone_query("")
    rows = recipient_list.page(message_id, None, GROUPS["target"], anybody, None).rows
    message = rows[0] if rows else Recipient(0, 0, 0, "", "")
    return {
        "id": message_id,
        "status": campaign.status,
        "phone": door.number(message.phone),
        "state": message.state.name.lower() if message.state is not None else "",
        "reason": message.left or message.reason,
        "receipt_at": message.heard,
    }


@operation(
    "POST", "/messages", Scope.CONFIRM, TAG, body=NewMessageSchema, answer=SentMessageSchema, status=202,
    errors=(404,), again=show_message,
)  # fmt: skip
def send_message(body: Mapping[str, Any]) -> dict[str, Any]:
    """Send one message now, or when quiet hours are over. It is stored when this answers; opt-outs and caps count."""
    door.refuse_real_channels(sms_templates.get(body["template_id"]).channel_id)
    sending = (body["user_id"], body["template_id"], body["values"])
    return show_message(single_messages.send(*sending, door.actor(), clock.now()))


operation("GET", "/messages/<int:message_id>", Scope.READ, TAG, answer=SentMessageSchema)(show_message)
