"""Fields and checks of bodies and parameters that are stricter than marshmallow's own."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate


class Whole(validate.Regexp):
    """A pattern for all of a text: with `$` alone a line may end behind it."""

    def __call__(self, value: Any) -> Any:
        if not self.regex.fullmatch(value):
            raise ma.ValidationError(self._format_error(value))
        return value


class JsonBoolean(fields.Boolean):
    """true or false, and nothing that Python takes for one of them."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value
