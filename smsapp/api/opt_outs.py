"""The opt-out list and the replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import SizedQuery, operation
from smsapp.domain.api_key import Scope
from smsapp.domain.scope import Coverage
from smsapp.domain.scope import Scope as Refused
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import clock
from smsapp.services.receipts import replies
from smsapp.shapes import people
from smsapp.shapes.fitting import JsonBoolean, answered_id

if TYPE_CHECKING:
    pass

TAG = "opt-outs"


class OptOutSchema(ma.Schema):
    id = answered_id()
    phone = fields.String(required=True)
    scope = fields.String(required=True, metadata={"description": "What is refused, whatever the signature."})
    signatures = fields.List(
        fields.String(), required=True, metadata={"description": "Whose texts are refused as well."}
    )
    source = fields.String(required=True)
    note = fields.String(required=True)
    at = fields.AwareDateTime(required=True)


class NewOptOutSchema(ma.Schema):
    phone = fields.String(required=True, validate=validate.Length(1, 40))
    scope = fields.Enum(Refused, by_value=True, load_default=Refused.EVERYTHING)
    signatures = fields.List(fields.String(validate=validate.Length(1, 60)), validate=validate.Length(max=20))
    note = fields.String(load_default="", validate=validate.Length(max=opt_outs.LONGEST_NOTE))


class AddedOptOutSchema(OptOutSchema):
    added = fields.Boolean(required=True, metadata={"description": "False if as much was refused before."})


class OptOutPageSchema(ma.Schema):
    items = fields.List(fields.Nested(OptOutSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class OptOutSearchSchema(SizedQuery):
    """In a body, because a number must not stand in an address."""

    phone = fields.String(
        required=True,
        validate=validate.Length(1, 40),
        metadata={"description": "A whole number, or its last four digits."},
    )


class ReasonSchema(ma.Schema):
    reason = fields.String(
        required=True,
        validate=validate.Length(1, opt_outs.LONGEST_NOTE),
        metadata={"description": "Why; it is logged."},
    )


class RemovedSchema(ma.Schema):
    deleted = fields.Boolean(required=True)


class ReplySchema(ma.Schema):
    id = answered_id()
    phone = fields.String(required=True, metadata={"description": "Empty if no number could be read."})
    text = fields.String(required=True)
    opt_out = fields.Boolean(required=True)
    campaign_id = fields.Integer(required=True, allow_none=True)
    channel_id = fields.Integer(required=True, allow_none=True)
    received_at = fields.AwareDateTime(required=True)


class ReplyPageSchema(ma.Schema):
    items = fields.List(fields.Nested(ReplySchema), required=True)
    next = fields.String(required=True, allow_none=True)


class ReplyQuery(SizedQuery):
    opt_out = fields.Boolean()


class ReplySearchSchema(SizedQuery):
    """In a body, because a number must not stand in an address."""

    opt_out = JsonBoolean()
    search = fields.String(required=True, validate=validate.Length(1, 120))


@operation("GET", "/opt-outs", Scope.READ, TAG, query=SizedQuery, answer=OptOutPageSchema)
def list_opt_outs(query: Mapping[str, Any]) -> dict[str, Any]:
    """List the numbers that refuse texts, newest first."""
    return _listed("", query)


@operation("POST", "/searches/opt-outs", Scope.READ, TAG, body=OptOutSearchSchema, answer=OptOutPageSchema)
def search_opt_outs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Search the list. Searches for whole numbers are limited for keys that may not see them."""
    door.note_search(body["phone"])
    return _listed(body["phone"], body)


@operation("POST", "/opt-outs", Scope.WRITE, TAG, body=NewOptOutSchema, answer=AddedOptOutSchema)
def add_opt_out(body: Mapping[str, Any]) -> dict[str, Any]:
    """Put a number on the list. Refused again, it stays as it is."""
    refused = Coverage(body["scope"], tuple(body.get("signatures", ())))
    is_new = opt_outs.add(body["phone"], body["note"], door.actor(), clock.now(), refused)
    return people.opt_out(opt_outs.find(body["phone"]), door.sight()) | {"added": is_new}


@operation("POST", "/opt-outs/<long:opt_out_id>/remove", Scope.WRITE, TAG, body=ReasonSchema, answer=RemovedSchema)
def remove_opt_out(opt_out_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Take a number off the list because the person agreed again."""
    opt_outs.remove(opt_out_id, body["reason"], door.actor(), clock.now())
    return {"deleted": True}


@operation("GET", "/replies", Scope.READ, "replies", query=ReplyQuery, answer=ReplyPageSchema)
def list_replies(query: Mapping[str, Any]) -> dict[str, Any]:
    """List what people texted back, newest first."""
    return _replies("", query)


@operation("POST", "/searches/replies", Scope.READ, "replies", body=ReplySearchSchema, answer=ReplyPageSchema)
def search_replies(body: Mapping[str, Any]) -> dict[str, Any]:
    """Search replies by words or a whole number, which is limited for keys that may not see them."""
    door.note_search(body["search"])
    return _replies(body["search"], body)


def _listed(digits: str, page: Mapping[str, Any]) -> dict[str, Any]:
    limit, sees = page["limit"], door.holder().sees_numbers
    rows = opt_outs.find_page(digits=digits, before=door.cursor_id(page), limit=limit + 1, sees_full_numbers=sees)
    following = rows[limit - 1].id if len(rows) > limit else None
    return {"items": [people.opt_out(row, door.sight()) for row in rows[:limit]], "next": door.cursor(following)}


def _replies(words: str, page: Mapping[str, Any]) -> dict[str, Any]:
    limit = page["limit"]
    rows = replies.find_page(
        opt_out=page.get("opt_out"),
        words=words,
        before=door.cursor_id(page),
        limit=limit + 1,
        sees_full_numbers=door.holder().sees_numbers,
    )
    items = [people.reply(row, door.sight()) for row in rows[:limit]]
    return {"items": items, "next": door.cursor(rows[limit - 1].id if len(rows) > limit else None)}
