"""Requests are read strictly: no unknown parameters, and no text that a database would not store."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from smsapp.shapes.fitting import storable


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
