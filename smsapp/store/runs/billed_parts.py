"""Billed parts: of messages without any yet, and of a run, the sum over its accepted messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.store.db import changed, one_of
from smsapp.store.runs.runs import Message, Run

AT_ONCE = 5000
"""Most messages returned by one call of `lacking`."""
_ADD = sa.update(Run).where(Run.id == sa.bindparam("run")).values(parts=Run.parts + sa.bindparam("more"))


def add(session: Session, run_id: int, more: int) -> None:
    """Add `more` billed parts to the run."""
    if more:
        session.connection().execute(_ADD, {"run": run_id, "more": more})


def lacking(
    session: Session, run_id: int, after: int, *which: sa.ColumnElement[bool]
) -> list[tuple[int, int, str, str | None]]:
    """Return (seq, status, phone, params) of the next messages after seq `after` that have no parts."""
    query = sa.select(Message.seq, Message.status, Message.phone, Message.params).where(
        Message.run_id == run_id, Message.seq > after, Message.parts.is_(None), *which
    )
    rows = session.connection().execute(query.order_by(Message.seq).limit(AT_ONCE))
    return [(seq, status, phone, params) for seq, status, phone, params in rows]


def store(session: Session, run_id: int, seqs: Mapping[int, Sequence[int]]) -> None:
    """Store the parts of messages that have none; `seqs`: parts -> seqs."""
    for n, numbers in sorted(seqs.items()):
        statement = sa.update(Message).where(Message.run_id == run_id, one_of(Message.seq, numbers))
        changed(session, statement.where(Message.parts.is_(None)).values(parts=n))


def unconfirmed(session: Session, run_id: int) -> int:
    """Return the billed parts of a run's unconfirmed messages; one whose parts are not known counts as one."""
    parts = sa.func.coalesce(sa.func.sum(sa.func.coalesce(Message.parts, 1)), 0)
    query = sa.select(parts).where(Message.run_id == run_id, Message.status == int(Status.UNCONFIRMED))
    return int(session.scalar(query) or 0)


def accepted(session: Session, run_id: int) -> int:
    """Return the billed parts of a run's accepted messages."""
    return session.scalar(sa.select(Run.parts).where(Run.id == run_id)) or 0
