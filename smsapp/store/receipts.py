"""The inbox: callbacks as they came, stored before they are acknowledged and applied later in bulk."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, BigId, changed, dialect


class InboxState(enum.IntEnum):
    NEW = 0
    APPLIED = 1
    UNREADABLE = 2


class Inbox(Base):
    __tablename__ = "inbox"
    __table_args__ = (
        sa.Index("ix_inbox_new", "id", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    received_at: Mapped[dt.datetime]
    method: Mapped[str] = mapped_column(sa.String(7))
    url: Mapped[str] = mapped_column(sa.Text)
    query: Mapped[str] = mapped_column(sa.Text, default="")
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    state: Mapped[int] = mapped_column(sa.SmallInteger, default=InboxState.NEW)


READER = 7_460_001
"""Key of the PostgreSQL advisory lock that makes one consumer at a time; SQLite has one writer anyway."""


_INSERT = sa.insert(Inbox)


def add(session: Session, channel_id: int, now: dt.datetime, **request: Any) -> None:
    """Keep a request as it came: method, url, query, headers, body."""
    row = {"channel_id": channel_id, "received_at": now, "state": int(InboxState.NEW), **request}
    session.connection().execute(_INSERT, row)


def only_reader(session: Session) -> bool:
    """Become the one consumer until the transaction ends; False if another is at work."""
    if dialect() != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(READER))))


def of_ids(session: Session, ids: Sequence[int]) -> Sequence[Inbox]:
    """Return these callbacks as far as nobody has read them, in the order they came."""
    chosen = sa.select(Inbox).where(Inbox.id.in_(ids), Inbox.state == 0).order_by(Inbox.id)
    return session.scalars(chosen.execution_options(populate_existing=True)).all()


def unread_ids(session: Session, limit: int) -> Sequence[int]:
    """Return the oldest callbacks nobody has read."""
    return session.scalars(sa.select(Inbox.id).where(Inbox.state == 0).order_by(Inbox.id).limit(limit)).all()


def mark_read(session: Session, ids: Sequence[int], unreadable: Sequence[int]) -> None:
    bad = set(unreadable)
    for state, chosen in (
        (InboxState.APPLIED, [one for one in ids if one not in bad]),
        (InboxState.UNREADABLE, list(bad)),
    ):
        if chosen:
            changed(session, sa.update(Inbox).where(Inbox.id.in_(chosen)).values(state=int(state)))


def forget_old(session: Session, before: dt.datetime, limit: int) -> int:
    """Remove up to `limit` callbacks older than this moment; return how many went."""
    old = sa.select(Inbox.id).where(Inbox.state != 0, Inbox.received_at < before).order_by(Inbox.id).limit(limit)
    return changed(session, sa.delete(Inbox).where(Inbox.id.in_(old)))
