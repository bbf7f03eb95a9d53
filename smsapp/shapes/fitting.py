"""Fields and checks of bodies and parameters that are stricter than marshmallow's own."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")


def answered_id(**options: Any) -> fields.Integer:
    """Return the field of an id in an answer; the document says that it can be sent back."""
    return fields.Integer(required=True, validate=validate.Range(1), **options)


class Whole(validate.Regexp):
    """A pattern for all of a text: with `$` alone a line may end behind it."""

    def fits(self, value: Any) -> bool:
        return self.regex.fullmatch(value) is not None

    def __call__(self, value: Any) -> Any:
        if not self.fits(value):
            raise ma.ValidationError(self._format_error(value))
        return value


class JsonBoolean(fields.Boolean):
    """true or false, and nothing that Python takes for one of them."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def storable(value: Any) -> Any:
    """Return JSON with marks in the place of what no database stores in a text: U+0000 and halves of pairs."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    return {storable(name): storable(item) for name, item in value.items()} if isinstance(value, dict) else value
