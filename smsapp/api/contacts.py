"""Contacts: found, added and changed one by one or in bulk, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp import labels
from smsapp.api import door
from smsapp.api.door import PageQuery, operation
from smsapp.api.problems import ErrorSchema, Refused
from smsapp.domain.api_key import Scope
from smsapp.domain.contact import MAX_ID
from smsapp.labels import contacts as words
from smsapp.services.contacts import contact_upserts, contacts, segments
from smsapp.services.contacts.contact_upserts import MOST_AT_ONCE, Merged
from smsapp.services.platform import clock
from smsapp.shapes import people
from smsapp.shapes.fitting import answered_id

TAG = "contacts"


class PropertiesSchema(ma.Schema):
    """Values by property, such as $phone. Null changes nothing."""

    properties = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), required=True)


class NewContactSchema(PropertiesSchema):
    """A contact by its user id in your system."""

    user_id = fields.String(required=True, validate=validate.Length(1, MAX_ID))


class BulkSchema(ma.Schema):
    contacts = fields.List(fields.Nested(NewContactSchema), required=True, validate=validate.Length(1, MOST_AT_ONCE))


class ContactSchema(ma.Schema):
    id = answered_id()
    user_id = fields.String(required=True)
    properties = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), required=True)
    numbers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Property -> the number read from it; empty if none can be read."},
    )
    opted_out = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ContactPageSchema(ma.Schema):
    items = fields.List(fields.Nested(ContactSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class ContactSearchSchema(PageQuery):
    """In a body, because a number must not stand in an address."""

    search = fields.String(
        required=True,
        validate=validate.Length(1, 254),
        metadata={"description": "A user id or its beginning, a whole number, its last four digits, a name."},
    )


class ChangedSchema(ContactSchema):
    problems = fields.List(fields.Nested(ErrorSchema), required=True)


class BulkResultSchema(ma.Schema):
    added = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    problems = fields.List(
        fields.Nested(ErrorSchema),
        required=True,
        metadata={"description": "Each with its place, such as contacts.3 or contacts.3.properties.age."},
    )


class DeletedSchema(ma.Schema):
    deleted = fields.Boolean(required=True)


@operation("GET", "/contacts", Scope.READ, TAG, query=PageQuery, answer=ContactPageSchema)
def list_contacts(query: Mapping[str, Any]) -> dict[str, Any]:
    """List contacts, newest first."""
    return _listed("", door.cursor_id(query))


@operation("POST", "/searches/contacts", Scope.READ, TAG, body=ContactSearchSchema, answer=ContactPageSchema)
def search_contacts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Search contacts, newest first. Searches for whole numbers are limited for keys that may not see them."""
    door.note_search(body["search"])
    return _listed(body["search"], door.cursor_id(body))


@operation("GET", "/contacts/<long:contact_id>", Scope.READ, TAG, answer=ContactSchema)
def show_contact(contact_id: int) -> dict[str, Any]:
    """Show a contact."""
    row = contacts.contact(contact_id)
    return people.contact(row, contacts.opted_out([row]), segments.phone_properties(), door.sight())


@operation("PUT", "/contacts/<long:contact_id>", Scope.WRITE, TAG, body=PropertiesSchema, answer=ChangedSchema)
def change_contact(contact_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change the values that are named; the others stay."""
    values = [(contacts.contact(contact_id).xwho, body["properties"])]
    merged = contact_upserts.merge(values, door.holder().key_id, door.actor(), clock.now())
    if merged.refused:
        raise Refused(409, "contacts_refused", reason=merged.refused[0][1])
    lost = [line | {"field": line["field"].partition(".")[2]} for line in _lost(merged)]
    return show_contact(contact_id) | {"problems": lost}


@operation("POST", "/contacts", Scope.WRITE, TAG, body=BulkSchema, answer=BulkResultSchema)
def upsert_contacts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Add and change up to 1,000 contacts in one transaction; unfit ones are named and do not keep the others out."""
    values = [(line["user_id"], line["properties"]) for line in body["contacts"]]
    merged = contact_upserts.merge(values, door.holder().key_id, door.actor(), clock.now())
    refused = [
        {"code": reason.value, "detail": labels.label(reason), "field": f"contacts.{place}"}
        for place, reason in merged.refused
    ]
    lost = [line | {"field": f"contacts.{line['field']}"} for line in _lost(merged)]
    counts = {"added": merged.added, "changed": merged.changed, "refused": len(merged.refused)}
    return counts | {"problems": refused + lost}


@operation("DELETE", "/contacts/<long:contact_id>", Scope.WRITE, TAG, answer=DeletedSchema)
def delete_contact(contact_id: int) -> dict[str, Any]:
    """Remove a contact and its values. What was sent stays in the ledger; erasing a person is for administrators."""
    contact_upserts.remove(contact_id, door.actor(), clock.now())
    return {"deleted": True}


def _listed(search: str, before: int | None) -> dict[str, Any]:
    page = contacts.listed(search, before, sees_full_numbers=door.holder().sees_numbers)
    refusing, phones = contacts.opted_out(page.rows), segments.phone_properties()
    items = [people.contact(row, refusing, phones, door.sight()) for row in page.rows]
    return {"items": items, "next": door.cursor(page.next)}


def _lost(merged: Merged) -> list[dict[str, str]]:
    return [
        {
            "code": loss.reason.value,
            "detail": words.why(loss.reason, loss.facts),
            "field": f"{place}.properties.{loss.name}",
        }
        for place, loss in merged.losses
    ]
