"""SMS templates: listed, imported, fetched from the provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.api import door
from smsapp.api.door import SizedQuery, operation
from smsapp.api.problems import ErrorSchema
from smsapp.domain.api_key import Scope
from smsapp.domain.sms_template import Audit, Purpose
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.templates import sms_templates, template_imports, template_sync
from smsapp.shapes import setup
from smsapp.shapes.fitting import JsonBoolean, answered_id
from smsapp.shapes.problems import problems

if TYPE_CHECKING:
    pass

TAG = "templates"
MOST_AT_ONCE = 1000


class TemplateSchema(ma.Schema):
    id = answered_id()
    channel_id = answered_id()
    code = fields.String(required=True, metadata={"description": "The provider's code."})
    name = fields.String(required=True)
    text = fields.String(required=True)
    signature = fields.String(required=True)
    purpose = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True, metadata={"description": "Why the provider refused it."})
    variables = fields.List(fields.String(), required=True)
    usable = fields.Boolean(required=True, metadata={"description": "Campaigns can choose it."})


class TemplatePageSchema(ma.Schema):
    items = fields.List(fields.Nested(TemplateSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class TemplateQuery(SizedQuery):
    channel_id = fields.Integer(validate=validate.Range(1, 2**31 - 1))
    status = fields.Enum(Audit, by_value=True)
    search = fields.String(validate=validate.Length(max=120))


class RecordSchema(ma.Schema):
    code = fields.String(required=True, validate=validate.Length(1, 120))
    text = fields.String(required=True, validate=validate.Length(1, 4000))
    name = fields.String(validate=validate.Length(max=120))
    signature = fields.String(validate=validate.Length(max=60))
    purpose = fields.Enum(Purpose, by_value=True)
    status = fields.Enum(Audit, by_value=True, metadata={"description": "approved needs a second look by a person."})
    reason = fields.String(validate=validate.Length(max=2000))


class TemplateImportSchema(ma.Schema):
    channel_id = fields.Integer(required=True, validate=validate.Range(1, 2**31 - 1))
    templates = fields.List(fields.Nested(RecordSchema), required=True, validate=validate.Length(1, MOST_AT_ONCE))
    dry_run = JsonBoolean(load_default=False)


class FateSchema(ma.Schema):
    code = fields.String(required=True)
    fate = fields.String(required=True)
    problems = fields.List(fields.Nested(ErrorSchema), required=True)


class TemplateImportResultSchema(ma.Schema):
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    templates = fields.List(fields.Nested(FateSchema), required=True)


class SyncSchema(ma.Schema):
    channel_id = fields.Integer(required=True, validate=validate.Range(1, 2**31 - 1))


class SyncResultSchema(ma.Schema):
    ok = fields.Boolean(required=True)
    detail = fields.String(required=True, metadata={"description": "What the provider said if it failed."})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    held_runs = fields.Integer(required=True, metadata={"description": "Runs that wait for a person now."})


@operation("GET", "/templates", Scope.READ, TAG, query=TemplateQuery, answer=TemplatePageSchema)
def list_templates(query: Mapping[str, Any]) -> dict[str, Any]:
    """List templates, newest first."""
    before, limit = door.cursor_id(query, door.HIGHEST), query["limit"]
    filters = (query.get("channel_id"), query.get("status"), query.get("search", ""))
    rows = sms_templates.find_page(*filters, before=before, limit=limit + 1)
    following = rows[limit - 1].id if len(rows) > limit else None
    return {"items": [setup.template(row) for row in rows[:limit]], "next": door.cursor(following)}


@operation("GET", "/templates/<int:template_id>", Scope.READ, TAG, answer=TemplateSchema)
def show_template(template_id: int) -> dict[str, Any]:
    """Show a template."""
    return setup.template(sms_templates.get(template_id))


@operation("POST", "/templates/import", Scope.WRITE, TAG, body=TemplateImportSchema, answer=TemplateImportResultSchema)
def import_templates(body: Mapping[str, Any]) -> dict[str, Any]:
    """Add and change templates of a channel, by their codes; the same ones again change nothing."""
    door.refuse_real_channels(body["channel_id"])
    records = [{name: str(value) for name, value in record.items()} for record in body["templates"]]
    content = json.dumps(records).encode()
    channel_id, actor, now = body["channel_id"], door.actor(), clock.now()
    result = template_imports.take_file(channel_id, "api.json", content, actor, now, dry_run=body["dry_run"])
    return {
        "counts": {fate.value: n for fate, n in result.counts.items()},
        "templates": [
            {"code": row.code, "fate": row.fate.value, "problems": problems(row.problems)} for row in result.rows
        ],
    }


@operation("POST", "/templates/sync", Scope.WRITE, TAG, body=SyncSchema, answer=SyncResultSchema, errors=(404,))
def sync_templates(body: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch a channel's templates from its provider."""
    accounts.row(body["channel_id"])
    door.refuse_real_channels(body["channel_id"])
    result = template_sync.sync(body["channel_id"], door.actor(), clock.now())
    return {
        "ok": result.ok,
        "detail": "" if result.ok else result.trial.text,
        "counts": {fate.value: n for fate, n in result.counts.items()},
        "held_runs": result.held,
    }
