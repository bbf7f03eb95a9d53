"""Matches the lines of an uploaded list with contacts, in temporary tables of the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import BigId, upsert

CHUNK = 10_000

_temporary: Mapping[str, Any] = {"prefixes": ["TEMPORARY"], "postgresql_on_commit": "DROP", "sqlite_with_rowid": False}
_apart = sa.MetaData()
"""Separate metadata: these tables are in no migration."""

_line = sa.Table(
    "uploaded_line",
    _apart,
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    **_temporary,
)
_hit = sa.Table(
    "uploaded_hit",
    _apart,
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("contact_id", BigId, primary_key=True),
    **_temporary,
)


@dataclass(frozen=True)
class Line:
    """One line of the file: its number, the value to compare, and the raw text."""

    number: int
    value: str
    raw: str


@dataclass(frozen=True)
class Staged:
    """The result of matching: distinct values, values that match a contact, and the first (number, raw) that do not."""

    values: int
    matched: int
    unmatched: list[tuple[int, str]]


def match(session: Session, lines: Iterable[Line], name: str, *, phone: bool) -> sa.Select[int]:
    """Stage these lines and compare them with user ids ("xwho"), numbers of a phone property, or another property.

    Returns the select of the ids of matching contacts; `staged` then returns the result. Both are valid until the
    transaction ends or `forget` is called.
    """
    _apart.create_all(session.connection(), checkfirst=False)
    waiting = iter(lines)
    while chunk := list(islice(waiting, CHUNK)):
        rows = [{"value": line.value, "number": line.number, "raw": line.raw} for line in chunk]
        session.execute(upsert(_line).on_conflict_do_nothing(), rows)
    column = _stored_ids(name, phone)
    pairs = sa.select(_line.c.value, Contact.id).join_from(Contact, _line, _line.c.value == column)
    session.execute(sa.insert(_hit).from_select(["value", "contact_id"], pairs))
    return sa.select(_hit.c.contact_id).distinct()


def staged(session: Session, limit: int) -> Staged:
    """Return the result of matching, with the first `limit` lines that match nobody."""
    missing = sa.select(_line.c.value).except_(sa.select(_hit.c.value)).subquery()
    first = (
        sa.select(_line.c.number, _line.c.raw)
        .join(missing, missing.c.value == _line.c.value)
        .order_by(_line.c.number)
        .limit(limit)
    )
    values = session.scalar(sa.select(sa.func.count()).select_from(_line)) or 0
    matched = session.scalar(sa.select(sa.func.count(sa.distinct(_hit.c.value)))) or 0
    return Staged(values, matched, [(number, raw) for number, raw in session.execute(first)])


def forget(session: Session) -> None:
    """Drop the temporary tables; on PostgreSQL the end of the transaction also does, on SQLite nothing else does."""
    _apart.drop_all(session.connection(), checkfirst=False)


def _stored_ids(name: str, phone: bool) -> sa.ColumnElement[Any]:
    if name == "xwho":
        return Contact.xwho.expression
    column = Contact.phones if phone else Contact.properties
    return sa.cast(column[name].as_string(), sa.Text)
