"""Entries of the audit log, filtered: page by page, and all of them as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from smsapp.domain.audit_filter import AuditFilter
from smsapp.store.users import AuditEntry

PAGE = 1000
"""Entries of a stream that are in memory at a time."""


def page(session: Session, wanted: AuditFilter, before: int | None, limit: int) -> list[AuditEntry]:
    """Return entries, newest first, below the id `before`."""
    query = _matching(wanted).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query))


def stream(session: Session, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """Yield entries, oldest first, PAGE of them in memory at a time."""
    query, after = _matching(wanted).order_by(AuditEntry.id).limit(PAGE), 0
    while entries := session.scalars(query.where(AuditEntry.id > after)).all():
        after = entries[-1].id
        yield from entries
        session.expunge_all()


def _matching(wanted: AuditFilter) -> sa.Select[Any]:
    query = sa.select(AuditEntry)
    if wanted.user_id is not None:
        query = query.where(AuditEntry.user_id == wanted.user_id)
    for column, value in (
        (AuditEntry.action, wanted.action),
        (AuditEntry.noun, wanted.noun),
        (AuditEntry.address, wanted.address),
    ):
        if value:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    return query


def actions(session: Session) -> list[str]:
    """Return the actions that occur, by index look-ups instead of a scan."""
    return _values(session, AuditEntry.action)


def nouns(session: Session) -> list[str]:
    """Return the nouns that occur, by index look-ups instead of a scan."""
    return _values(session, AuditEntry.noun)


def _values(session: Session, column: InstrumentedAttribute[Any]) -> list[str]:
    first = sa.select(sa.func.min(column).label("value")).cte("steps", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > first.c.value).scalar_subquery()
    steps = first.union_all(sa.select(following).where(first.c.value.is_not(None)))
    return list(session.scalars(sa.select(steps.c.value).where(steps.c.value.is_not(None))))
