"""Some members of a segment as a table: which properties, and their values as this reader may see them."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _

from smsapp.domain import phone
from smsapp.domain.contact import Type
from smsapp.domain.segment import Group
from smsapp.labels import segments as words
from smsapp.services.contacts import segments
from smsapp.services.contacts.segments import KnownProperty
from smsapp.web import filters


def rows_of(members: list[segments.Member], columns: list[KnownProperty]) -> list[dict[str, Any]]:
    """Return sample rows, phone numbers masked unless the reader may see them."""
    phones = segments.phone_properties()
    return [
        {
            "contact_id": member.contact_id,
            "xwho": filters.mask_numbers_in(member.xwho),
            "cells": [
                cell_text(value, column.name in phones, column.type)
                for column, value in zip(columns, member.values, strict=True)
            ],
        }
        for member in members
    ]


def cell_text(value: Any, secret: bool, kind: Type = Type.STRING) -> str:
    """Return a value as text; `secret` ones are phone numbers, masked whatever their notation."""
    if value is None or value == "":
        return filters.NOTHING
    if secret:
        number = phone.normalise(value)
        return filters.masked(number) if number else filters.mask_numbers_in(str(value))
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        return str(_(", ")).join(filters.mask_numbers_in(item) for item in value)
    if kind is Type.DATETIME:
        return str(value).replace("T00:00:00", "").replace("T", " ")
    return filters.figure(value) if isinstance(value, int | float) else filters.mask_numbers_in(str(value))


def types_of(properties: list[KnownProperty]) -> dict[str, Type]:
    return {row.name: row.type for row in properties}


def names_of(properties: list[KnownProperty]) -> dict[str, str]:
    return {row.name: words.property_name(row.name, row.label) for row in properties}


def columns_of(rule: Group, properties: list[KnownProperty]) -> list[KnownProperty]:
    """Return the properties worth seeing beside the user id: those of the rule, then the rest of the catalogue."""
    names = {condition.property for condition in rule.conditions()}
    return sorted(properties, key=lambda row: (row.name not in names, row.name.startswith("$"), row.name))
