"""Which process holds the connection of a channel: one at a time, by a lease in the database.

No foreign key to the channel, so that a row does not prevent deleting it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed, upsert


class Connection(Base):
    """A lease of a channel's connection by one process, until `until`."""

    __tablename__ = "connection"

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(sa.String(16))
    until: Mapped[dt.datetime]
    made_for: Mapped[dt.datetime]
    """The channel's `updated_at` when the connection was made: the state is about those settings."""
    up: Mapped[bool]
    outcome: Mapped[str] = mapped_column(sa.String(40), default="")
    code: Mapped[str] = mapped_column(sa.String(80), default="")
    """Why it is down."""


def acquire(
    session: Session,
    channel_id: int,
    holder: str,
    now: dt.datetime,
    until: dt.datetime,
    made_for: dt.datetime,
    *,
    up: bool,
    outcome: str,
    code: str,
) -> bool:
    """Take or extend the lease of a channel's connection and store its state; False if another process has it."""
    row = {"holder": holder, "until": until, "made_for": made_for, "up": up, "outcome": outcome, "code": code}
    new = upsert(Connection).values(channel_id=channel_id, **row)
    mine = sa.or_(Connection.holder == holder, Connection.until < now)
    statement = new.on_conflict_do_update(index_elements=[Connection.channel_id], set_=row, where=mine)
    return changed(session, statement) == 1


def release(session: Session, holder: str, channel_ids: Collection[int] = ()) -> None:
    """Delete the leases of this process, except those of `channel_ids`."""
    changed(
        session, sa.delete(Connection).where(Connection.holder == holder, Connection.channel_id.not_in([*channel_ids]))
    )


def find(session: Session, channel_id: int, now: dt.datetime) -> Connection | None:
    """Return the state of a channel's connection; None if no process holds it."""
    row = session.get(Connection, channel_id, populate_existing=True)
    return row if row is not None and row.until >= now else None
