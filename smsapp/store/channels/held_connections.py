"""Who holds the connection of which channel: one process at a time, by a lease in the database.

No foreign key to the channel: that its connection was held is no reason to keep a channel for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed, upsert


class Connection(Base):
    """A channel's connection in one process's hands, until the lease is over."""

    __tablename__ = "connection"

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(sa.String(16))
    until: Mapped[dt.datetime]
    made_for: Mapped[dt.datetime]
    """When the channel had been changed last: what is said here is about those settings."""
    up: Mapped[bool]
    outcome: Mapped[str] = mapped_column(sa.String(40), default="")
    code: Mapped[str] = mapped_column(sa.String(80), default="")
    """Why it is down."""


def take(
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
    """Take a channel's connection or keep it, and say how it stands; False if somebody else has it."""
    row = {"holder": holder, "until": until, "made_for": made_for, "up": up, "outcome": outcome, "code": code}
    new = upsert(Connection).values(channel_id=channel_id, **row)
    mine = sa.or_(Connection.holder == holder, Connection.until < now)
    statement = new.on_conflict_do_update(index_elements=[Connection.channel_id], set_=row, where=mine)
    return changed(session, statement) == 1


def give_up(session: Session, holder: str, kept: Collection[int] = ()) -> None:
    """Let others take what this process holds, except the connections that it keeps."""
    changed(session, sa.delete(Connection).where(Connection.holder == holder, Connection.channel_id.not_in([*kept])))


def standing(session: Session, channel_id: int, now: dt.datetime) -> Connection | None:
    """Return how a channel's connection stands; None if no process holds it."""
    found = session.get(Connection, channel_id, populate_existing=True)
    return found if found is not None and found.until >= now else None
