"""Requests are read strictly: no unknown parameters, and no text that a database would not store."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from smsapp.shapes.fitting import Whole, storable

KEY_HEADER, KEY_RULE = "Idempotency-Key", Whole(r"^[A-Za-z0-9_-]{16,64}$")


class IdempotencySchema(ma.Schema):
    """The header by which a request may be sent again."""

    key = fields.String(
        data_key=KEY_HEADER,
        validate=KEY_RULE,
        metadata={"description": "Such as a UUID: a new one for each request, the same one when it is sent again."},
    )


IDEMPOTENCY = IdempotencySchema()


class StrictParser(FlaskParser):
    """Refuses parameters of an address that no operation knows; reads bodies whose texts every database stores."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: Any, schema: Any) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType
        try:
            return storable(super().load_json(req, schema))
        except (ValueError, RecursionError) as error:  # an endless figure, or lists within lists within lists
            raise BadRequest from error
