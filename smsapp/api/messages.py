"""One message to one person, from an approved template, under the same rules as every campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import HIGHEST, operation
from smsapp.api.problems import Refused
from smsapp.domain.api_key import Scope
from smsapp.domain.contact import MAX_ID
from smsapp.services.campaigns import single_messages
from smsapp.services.campaigns.single_messages import Caller, OtherRequest
from smsapp.services.platform import clock
from smsapp.shapes.drafts import MOST_TEXT
from smsapp.shapes.fitting import answered_id

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


class TakenMessageSchema(ma.Schema):
    id = answered_id()


class MessageStateSchema(TakenMessageSchema):
    state = fields.String(
        required=True,
        metadata={
            "description": "`waiting` to be planned, `excluded`, `removed` when it is old, `lost` if a backup was "
            "restored that is older, or the state in the ledger."
        },
    )
    reason = fields.String(
        required=True, metadata={"description": "Why it was left out or failed; of a queued one, why it is held."}
    )
    campaign_id = fields.Integer(required=True, allow_none=True, metadata={"description": "Null until it is planned."})
    run_id = fields.Integer(required=True, allow_none=True)
    phone = fields.String(required=True, metadata={"description": "Empty until the message is written."})
    receipt_at = fields.AwareDateTime(required=True, allow_none=True)


@operation(
    "POST", "/messages", Scope.CONFIRM, TAG, body=NewMessageSchema, answer=TakenMessageSchema, status=202,
    errors=(404,), keeps_key=True,
)  # fmt: skip
def send_message(body: Mapping[str, Any], idempotency_key: str) -> Any:
    """Send one message. It is stored when this answers, and planned within a moment; opt-outs and caps count then."""
    key = door.holder()
    caller = Caller(key.key_id, key.is_test, idempotency_key, door.sameness() if idempotency_key else b"")
    sending = (body["user_id"], body["template_id"], body["values"])
    try:
        taken = single_messages.send(*sending, caller, door.actor(), clock.now())
    except OtherRequest:
        raise Refused(422, "idempotency_other") from None
    return {"id": taken.id}, 202, door.REPLAYED if taken.is_repeated else {}


@operation("GET", "/messages/<long:message_id>", Scope.READ, TAG, answer=MessageStateSchema)
def show_message(message_id: int) -> dict[str, Any]:
    """Show what became of a message."""
    standing = single_messages.state_of(message_id)
    return vars(standing) | {"phone": door.number(standing.phone)}
