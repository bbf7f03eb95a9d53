"""Segments: created from a rule or a list of user ids, counted, and how far channels reach into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import SizedQuery, operation
from smsapp.domain.api_key import Scope
from smsapp.domain.contact import MAX_ID
from smsapp.domain.segment import Group, Kind
from smsapp.domain.segment_reader import from_json
from smsapp.services.contacts import hidden_numbers, segments, uploaded_lists
from smsapp.services.platform import clock
from smsapp.shapes import setup
from smsapp.shapes.fitting import answered_id

if TYPE_CHECKING:
    pass

TAG = "segments"
MOST_IDS = 20_000
RULE = (
    'A group {"match": "all" or "any", "children": [...]} of groups and conditions {"property", "type", "operator", '
    '"params"}; {} is everybody. A segment of the pages shows its rule here, to be copied.'
)


class RuleSchema(ma.Schema):
    rule = fields.Dict(required=True, metadata={"description": RULE})


class NewSegmentSchema(RuleSchema):
    name = fields.String(required=True, validate=validate.Length(1, segments.MAX_NAME))
    kind = fields.String(
        required=True,
        validate=validate.OneOf([Kind.DYNAMIC.value, Kind.STATIC.value]),
        metadata={"description": "dynamic: found anew whenever it is used; static: computed once."},
    )


class ListedIdsSchema(ma.Schema):
    name = fields.String(required=True, validate=validate.Length(1, segments.MAX_NAME))
    user_ids = fields.List(
        fields.String(validate=validate.Length(1, MAX_ID)), required=True, validate=validate.Length(1, MOST_IDS)
    )


class SegmentSchema(ma.Schema):
    id = answered_id()
    name = fields.String(required=True)
    kind = fields.String(required=True)
    rule = fields.Dict(required=True)
    size = fields.Integer(required=True, allow_none=True, metadata={"description": "Members when last computed."})
    computed_at = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class ListedSegmentSchema(SegmentSchema):
    unmatched = fields.Integer(required=True, metadata={"description": "User ids without a contact."})


class SegmentPageSchema(ma.Schema):
    items = fields.List(fields.Nested(SegmentSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class SegmentQuery(SizedQuery):
    search = fields.String(validate=validate.Length(max=120))


class CountSchema(ma.Schema):
    count = fields.Integer(required=True)


class ReachSchema(ma.Schema):
    channels = fields.List(fields.String(), required=True)
    phone_property = fields.String(required=True)
    target = fields.Integer(required=True)
    effective = fields.Integer(required=True)
    planned = fields.Integer(required=True)
    excluded = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"description": "Reason -> people."}
    )


class ReachListSchema(ma.Schema):
    items = fields.List(fields.Nested(ReachSchema), required=True)


class GoneSchema(ma.Schema):
    deleted = fields.Boolean(required=True)


def show_segment(segment_id: int) -> dict[str, Any]:
    """Show a segment."""
    return setup.segment(segments.get(segment_id), door.sight())


def show_list(segment_id: int) -> dict[str, Any]:
    row = segments.get(segment_id)
    return setup.segment(row, door.sight()) | {"unmatched": row.rule.get("source", {}).get("unmatched", 0)}


@operation("GET", "/segments", Scope.READ, TAG, query=SegmentQuery, answer=SegmentPageSchema)
def list_segments(query: Mapping[str, Any]) -> dict[str, Any]:
    """List segments, newest first."""
    before = door.cursor_id(query)
    rows = [line.segment for line in segments.listing(query.get("search", ""))]
    rows = [row for row in rows if before is None or row.id < before]
    page, rest = rows[: query["limit"]], rows[query["limit"] :]
    return {
        "items": [setup.segment(row, door.sight()) for row in page],
        "next": door.cursor(page[-1].id if rest else None),
    }


@operation(
    "POST", "/segments", Scope.WRITE, TAG, body=NewSegmentSchema, answer=SegmentSchema, status=201, again=show_segment
)
def create_segment(body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a segment from a rule."""
    rule = _readable(body["rule"])
    row = segments.create(body["name"], Kind(body["kind"]), rule, by=door.actor(), now=clock.now())
    return setup.segment(row, door.sight())


@operation(
    "POST", "/segments/lists", Scope.WRITE, TAG, body=ListedIdsSchema, answer=ListedSegmentSchema, status=201,
    again=show_list,
)  # fmt: skip
def create_segment_from_ids(body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a segment of the contacts with these user ids."""
    row = uploaded_lists.store_ids(body["name"], body["user_ids"], "API", by=door.actor(), now=clock.now())
    return show_list(row.id)


operation("GET", "/segments/<int:segment_id>", Scope.READ, TAG, answer=SegmentSchema)(show_segment)


@operation("DELETE", "/segments/<int:segment_id>", Scope.WRITE, TAG, answer=GoneSchema)
def delete_segment(segment_id: int) -> dict[str, Any]:
    """Remove a segment that no unfinished campaign needs."""
    segments.delete(segment_id, by=door.actor(), now=clock.now())
    return {"deleted": True}


@operation("POST", "/segments/<int:segment_id>/recompute", Scope.WRITE, TAG, answer=SegmentSchema, again=show_segment)
def recompute_segment(segment_id: int) -> dict[str, Any]:
    """Compute a static segment's members anew; count a dynamic one's."""
    return setup.segment(segments.recompute(segment_id, by=door.actor(), now=clock.now()), door.sight())


@operation("GET", "/segments/<int:segment_id>/count", Scope.READ, TAG, answer=CountSchema)
def count_segment(segment_id: int) -> dict[str, Any]:
    """Count a segment's members as of now."""
    return {"count": segments.size(segments.get(segment_id), clock.now())}


@operation("POST", "/segments/count", Scope.READ, TAG, body=RuleSchema, answer=CountSchema)
def count_rule(body: Mapping[str, Any]) -> dict[str, Any]:
    """Count who matches a rule, without storing it."""
    return {"count": segments.count(_readable(body["rule"]), clock.now())}


@operation("GET", "/segments/<int:segment_id>/reach", Scope.READ, TAG, answer=ReachListSchema)
def reach_segment(segment_id: int) -> dict[str, Any]:
    """Count the members whom the active channels would reach, and why not the others."""
    reaches = segments.reach(segments.members(segments.get(segment_id), clock.now()))
    return {"items": [setup.reach(reach) for reach in reaches]}


def _readable(raw: Mapping[str, Any]) -> Group:
    """Return a rule whose answers this key may see; raises Refusal."""
    rule = from_json(raw)
    segments.refuse_unfit(rule)  # another type than the property's would compare it all the same
    hidden_numbers.refuse_hidden(rule, sees_full_numbers=door.holder().sees_numbers)
    return rule
