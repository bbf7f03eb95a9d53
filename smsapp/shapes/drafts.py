"""What programs say of a campaign: the fields of a draft, read into the same draft that the form makes."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from smsapp.domain.audience_rule import MOST_SEGMENTS, AudienceRule
from smsapp.domain.campaign import LONGEST_NAME
from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.draft import Draft
from smsapp.domain.phone import mask_all
from smsapp.domain.rest_days import DaysOff, Rest
from smsapp.domain.schedule import LAST_DAY, Kind, Schedule
from smsapp.domain.segment import Match
from smsapp.shapes.fitting import JsonBoolean, Whole

HIGHEST = 2**31 - 1
"""What the columns of ids hold."""
MOST_TEXT, MOST_VARIABLES, MOST_NAME_OF_VARIABLE = 1000, 100, 120
TIMES, DAYS = ("time", "until", "spread_until"), ("weekdays", "monthdays")


def id_field(**options: Any) -> fields.Integer:
    return fields.Integer(validate=validate.Range(1, HIGHEST), **options)


def ids_field() -> fields.List[int]:
    return fields.List(id_field(), load_default=list, validate=validate.Length(max=MOST_SEGMENTS))


AudienceSchema = ma.Schema.from_dict(
    {
        "match": fields.Enum(Match, by_value=True, load_default=Match.ANY),
        "include": ids_field(),
        "exclude": ids_field(),
    },
    name="AudienceSchema",
)
"""For whom it is: members of any or all of some segments, and not of others. Schemas have an `exclude` of their own."""


class ValueSchema(ma.Schema):
    """What fills a variable: a property, with a fallback for those without a value, or a fixed text."""

    property = fields.String(validate=validate.Length(1, 125))
    fallback = fields.String(validate=validate.Length(max=MOST_TEXT), allow_none=True)
    fixed = fields.String(validate=validate.Length(max=MOST_TEXT))


EITHER = {"oneOf": [{"required": ["property"]}, {"required": ["fixed"]}]}
"""In the document: what `_has_one_source` checks."""


def _has_one_source(value: Mapping[str, Any]) -> None:
    if ("fixed" in value) == ("property" in value):
        raise ma.ValidationError("Give either property, perhaps with fallback, or fixed.")


def _has_few_variables(mapping: Mapping[str, Any]) -> None:
    if len(mapping) > MOST_VARIABLES:
        raise ma.ValidationError(f"Give at most {MOST_VARIABLES} variables.")


def time_field(description: str) -> fields.String:
    return fields.String(
        validate=Whole(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"),
        metadata={"description": description},
    )


class ScheduleSchema(ma.Schema):
    kind = fields.Enum(Kind, by_value=True, load_default=Kind.NOW)
    zone = fields.String(validate=validate.Length(1, 60), metadata={"description": "Such as Asia/Shanghai."})
    start = fields.Date(metadata={"description": "The date of a single send, or the first possible one."})
    end = fields.Date()
    time = time_field("Local time of day, such as 10:00:00.")
    weekdays = fields.List(fields.Integer(validate=validate.Range(1, 7)), validate=validate.Length(max=7))
    monthdays = fields.List(
        fields.Integer(validate=validate.OneOf([LAST_DAY, *range(1, 32)])),
        validate=validate.Length(max=32),
        metadata={"description": "-1 is the last day of the month."},
    )
    until = time_field("Not later than this local time.")
    until_date = fields.Date()
    spread_until = time_field("Evenly until this local time.")
    rest = fields.Enum(Rest, by_value=True)
    days_off = fields.Enum(DaysOff, by_value=True)


class DraftSchema(ma.Schema):
    """A campaign as a draft: what is missing can be added later."""

    name = fields.String(load_default="", validate=validate.Length(max=LONGEST_NAME))
    audience = fields.Nested(AudienceSchema)
    channel_id = id_field(allow_none=True)
    template_id = id_field(allow_none=True)
    mapping = fields.Dict(
        keys=fields.String(validate=validate.Length(max=MOST_NAME_OF_VARIABLE)),
        values=fields.Nested(ValueSchema, validate=_has_one_source, metadata=EITHER),
        validate=_has_few_variables,
        metadata={
            "description": "Variable of the template -> what fills it.",
            "maxProperties": MOST_VARIABLES,
            "propertyNames": {"maxLength": MOST_NAME_OF_VARIABLE},
        },
    )
    schedule = fields.Nested(ScheduleSchema)
    consented_only = JsonBoolean(load_default=False)
    seeds = JsonBoolean(
        load_default=True, metadata={"description": "Whether the test group's seeds get one of each run."}
    )
    left_out_carriers = fields.List(fields.Enum(Carrier, by_value=True), validate=validate.Length(max=len(Carrier)))
    second_channel_id = id_field(allow_none=True)
    second_template_id = id_field(allow_none=True)


class EditSchema(DraftSchema):
    version = fields.Integer(
        required=True, validate=validate.Range(0, HIGHEST), metadata={"description": "The version this edit is of."}
    )


NOTHING: Mapping[str, Any] = {
    "audience": {"match": Match.ANY, "include": [], "exclude": []},
    "channel_id": None,
    "template_id": None,
    "mapping": {},
    "schedule": {},
    "left_out_carriers": [],
    "second_channel_id": None,
    "second_template_id": None,
}
"""What a body means that leaves a field out, where it describes all of a draft."""


def draft(body: Mapping[str, Any], before: Draft) -> Draft:
    """Return the draft a body describes; who is left out by choice on the review stays as it was `before`."""
    return changed({**NOTHING, **body}, before)


def changed(body: Mapping[str, Any], before: Draft) -> Draft:
    """Return the draft `before` with the fields that a body names."""
    readers: Mapping[str, Callable[[Any], Any]] = {
        "audience": lambda one: AudienceRule(one["match"], tuple(one["include"]), tuple(one["exclude"])),
        "mapping": lambda one: {name: _source(value, before.mapping.get(name)) for name, value in one.items()},
        "schedule": lambda one: _schedule(one, before.schedule.zone),
        "left_out_carriers": lambda one: [carrier.value for carrier in one],
    }
    names = [name for name in DraftSchema().fields if name in body]
    return dataclasses.replace(before, **{name: readers.get(name, _as_it_is)(body[name]) for name in names})


def _as_it_is(value: Any) -> Any:
    return value


def _source(value: Mapping[str, Any], stored: Any) -> Any:
    """Return what fills a variable; what is sent back as it was shown, with masked numbers, stays as it is stored."""
    if "fixed" in value:
        source = {"fixed": value["fixed"]}
    else:
        source = {"property": value["property"], "fallback": value.get("fallback")}
    return stored if stored is not None and source == mask_all(dict(stored)) else source


def _schedule(body: Mapping[str, Any], zone: str) -> Schedule:
    values = {name: value for name, value in body.items() if name not in {*TIMES, *DAYS}}
    times = {name: dt.time.fromisoformat(body[name]) for name in TIMES if name in body}
    days = {name: tuple(sorted({*body[name]})) for name in DAYS if name in body}
    return Schedule(**{"zone": zone} | values | times | days)
