"""What is wrong with a request, each thing with its code, its sentence and its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from smsapp import labels
from smsapp.domain.api_key import RealChannelRefused
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Forbidden

UNFIT = 422
"""Status of a request that does not fit its description."""
STATUSES: Sequence[tuple[type[Refusal], int]] = ((NotFound, 404), (Forbidden, 403), (RealChannelRefused, 403))
"""Kind of refusal -> status; every other one is 409: the request fits its description, but not what there is."""
IN_REQUESTS = frozenset({"json", "query", "headers", "_schema"})
"""Names that marshmallow and webargs put before the places of a request."""


def status_of(refusal: Refusal) -> int:
    return next((status for kind, status in STATUSES if isinstance(refusal, kind)), 409)


def problems(items: Iterable[Problem]) -> list[dict[str, str]]:
    """Return problems as documents show them."""
    return [{"code": one.code, "detail": labels.sentence(one), "field": one.place} for one in items]


def refused(refusal: Refusal) -> list[dict[str, str]]:
    """Return what keeps a request from being carried out."""
    return problems(one for one in refusal.problems if not one.warning)


def places(messages: Any, place: str = "") -> Iterator[dict[str, str]]:
    """Yield what marshmallow says, place by place: {"json": {"name": ["Missing."]}} is about the field "name"."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            part = "" if not place and name in IN_REQUESTS else str(name)
            yield from places(inner, f"{place}.{part}".strip("."))
    elif isinstance(messages, list):
        for message in messages:
            yield from places(message, place)
    else:
        yield {"code": "request_invalid", "detail": str(messages), "field": place}
