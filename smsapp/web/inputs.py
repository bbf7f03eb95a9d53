"""Limits of every request's input: ids that a database can hold, text without U+0000."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from flask import Request, request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import IntegerConverter, Map

HIGHEST, HIGHEST_LONG = 2**31 - 1, 2**63 - 1
"""What the two kinds of id columns hold; PostgreSQL fails on a comparison with more."""


class IdConverter(IntegerConverter):
    """<int:...> in an address: no page is found for a larger number."""

    highest = HIGHEST

    def __init__(self, url_map: Map, *args: Any, **kwargs: Any) -> None:
        super().__init__(url_map, *args, **{"max": self.highest, **kwargs})


class LongIdConverter(IdConverter):
    """<long:...> in an address: for ids of which there may be more than two billion."""

    highest = HIGHEST_LONG


def id_(raw: str) -> int:
    """Return the id written in a query or form; raise ValueError if it cannot be one."""
    return _number(raw, HIGHEST)


def ids_in_request() -> list[int]:
    """Return the ids in `id` of the query or form, each once."""
    raws = request.values.getlist("id")
    return list(dict.fromkeys(int(raw) for raw in raws if raw.isascii() and raw.isdigit() and len(raw) < 10))


def date(raw: str) -> dt.date | None:
    """Return the date written as 2026-12-31; None if it is none."""
    try:
        return dt.date.fromisoformat(raw)
    except ValueError:
        return None


def chosen_id(raw: object) -> int | None:
    """Return the id of a drop-down's choice, None for the empty one; raise ValueError if it cannot be an id."""
    return id_(str(raw)) if raw not in (None, "") else None


def long_id(raw: str) -> int:
    """Return the id, of which there may be more than two billion; raise ValueError if it cannot be one."""
    return _number(raw, HIGHEST_LONG)


def _number(raw: str, highest: int) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) <= highest):
        raise ValueError("no id")
    return int(raw)


class Fields(ImmutableMultiDict[str, Any]):
    """Parameters of an address or a form without U+0000, which PostgreSQL refuses in any text."""

    def __init__(self, fields: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__([(_plain(name), _plain(value)) for name, value in fields])


def _plain(value: Any) -> Any:
    return value.replace("\0", "") if isinstance(value, str) else value


def plain(kind: type[Request]) -> type[Request]:
    """Return the kind of request with parameters that every database stores."""
    return type("PlainRequest", (kind,), {"parameter_storage_class": Fields})
