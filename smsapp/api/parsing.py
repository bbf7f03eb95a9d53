"""Requests are read strictly: no unknown parameters, and no text that a database would not store."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")


class StrictParser(FlaskParser):
    """Refuses parameters of an address that no operation knows; reads bodies whose texts every database stores."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: Any, schema: Any) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType
        try:
            return _storable(super().load_json(req, schema))
        except (ValueError, RecursionError) as error:  # an endless figure, or lists within lists within lists
            raise BadRequest from error


def _storable(value: Any) -> Any:
    """Return JSON with marks in the place of what no database stores in a text: U+0000 and halves of pairs."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return {_storable(name): _storable(item) for name, item in value.items()} if isinstance(value, dict) else value
