"""Shapes as JSON: moments in ISO 8601, amounts as texts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Return a shape with nothing in it that JSON does not know."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, str | Decimal) else value


def json_text(value: Any) -> str:
    """Return a shape as one line of JSON."""
    return json.dumps(plain(value), ensure_ascii=False)
