"""Looks through tables page by page and redacts what names erased people, in short transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from smsapp.store.db import writing
from smsapp.store.privacy import places
from smsapp.store.privacy.places import Place, Redaction
from smsapp.store.receipts import inbox

PAGE = 2000
"""Rows looked at between two transactions."""


def redact_place(
    place: Place, redaction: Redaction, after: Sequence[Any] | None = None, until: Sequence[Any] | None = None
) -> int:
    """Look through a table, beyond `after` and up to `until`, and redact what names erased people; return how many
    rows changed."""
    n = 0
    for hits in _hits(place, redaction, after, until or places.last_key(place)):
        with _connection(place) as connection:
            n += places.redact(connection, place, hits, redaction)
    return n


def _hits(
    place: Place, redaction: Redaction, after: Sequence[Any] | None, until: Sequence[Any] | None
) -> Iterator[list[Sequence[Any]]]:
    """Yield, page by page, the keys of rows that name erased people."""
    while until is not None:
        last, hits = places.look_through(place, after, until, PAGE, redaction)
        if last is None:
            return
        if hits:
            yield hits
        after = last


@contextmanager
def _connection(place: Place) -> Iterator[Any]:
    """Open a transaction of the database that a table is in."""
    if place.is_in_inbox:
        with inbox.writing_in_line() as connection:
            yield connection
    else:
        with writing() as session:
            yield session.connection()
