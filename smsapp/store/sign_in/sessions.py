"""Sessions of people: those that are shown, and those that were ended before their time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed, upsert
from smsapp.store.users import DEMO, Preference, User


class StoredSession(Base):
    """A session that somebody has used, until it ends: where, and since when."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    begun_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
    seen_at: Mapped[dt.datetime]
    """Of the last request, some minutes late: it is not written with each."""
    address: Mapped[str] = mapped_column(sa.String(45), default="")
    agent: Mapped[str] = mapped_column(sa.String(60), default="")
    """Browser and system in short form, domain/device.py."""
    strong: Mapped[bool] = mapped_column(default=False)
    """Whether a second factor was given, or an OpenID provider vouches for the person."""
    by_provider: Mapped[bool] = mapped_column(default=False)


class EndedSession(Base):
    """A session that was ended: until it expires, copies of its cookie are refused."""

    __tablename__ = "ended_session"

    session_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    expires_at: Mapped[dt.datetime]


class SessionRow(NamedTuple):
    """What a request needs to know of its reader."""

    person: User
    stored: StoredSession | None
    is_ended: bool
    has_demo: bool
    """Whether the system holds demo data, which every page says."""


_session_id = sa.bindparam("session_id", type_=sa.String)
_READER = (
    sa.select(User, StoredSession, EndedSession.session_id.is_not(None), sa.exists().where(Preference.name == DEMO))
    .outerjoin(StoredSession, sa.and_(StoredSession.id == _session_id, StoredSession.user_id == User.id))
    .outerjoin(EndedSession, EndedSession.session_id == _session_id)
    .where(User.id == sa.bindparam("user_id", type_=sa.Integer))
)
"""Built once: every page of a signed-in person asks it."""


def find(session: Session, user_id: int, session_id: str) -> SessionRow | None:
    """Return the person, the stored session if there is one, and whether it was ended: one query per request."""
    row = session.execute(_READER, {"user_id": user_id, "session_id": session_id}).one_or_none()
    return None if row is None else SessionRow(row[0], row[1], bool(row[2]), bool(row[3]))


def add(session: Session, row: StoredSession, now: dt.datetime) -> None:
    """Store a session unless it is there already, and delete expired ones."""
    session.execute(sa.delete(StoredSession).where(StoredSession.expires_at <= now))
    values = {column.key: getattr(row, column.key) for column in sa.inspect(StoredSession).column_attrs}
    session.execute(upsert(StoredSession).values(**values).on_conflict_do_nothing())


def touch(session: Session, session_id: str, address: str, now: dt.datetime) -> None:
    """Store that the session was used now, from this address."""
    changed(
        session, sa.update(StoredSession).where(StoredSession.id == session_id).values(seen_at=now, address=address)
    )


def strengthen(session: Session, session_id: str) -> None:
    """Store that a second factor was given in this session."""
    changed(session, sa.update(StoredSession).where(StoredSession.id == session_id).values(strong=True))


def weaken(session: Session, user_id: int) -> None:
    """Store that the person's factor is gone, in all sessions that no provider vouches for."""
    own = (StoredSession.user_id == user_id, StoredSession.by_provider.is_(False))
    changed(session, sa.update(StoredSession).where(*own).values(strong=False))


def end(session: Session, session_id: str, expires_at: dt.datetime, now: dt.datetime) -> None:
    """Store that this session was ended, and delete expired entries."""
    session.execute(sa.delete(EndedSession).where(EndedSession.expires_at <= now))
    session.execute(sa.delete(StoredSession).where(StoredSession.id == session_id))
    values = {"session_id": session_id, "expires_at": expires_at}
    session.execute(upsert(EndedSession).values(**values).on_conflict_do_nothing())


def forget_all(session: Session, user_id: int) -> None:
    """Delete the rows of a person whose sessions have ended by another mark."""
    session.execute(sa.delete(StoredSession).where(StoredSession.user_id == user_id))


def of_person(session: Session, user_id: int, now: dt.datetime) -> Sequence[StoredSession]:
    """Return the sessions of a person that have not expired, the last used first."""
    query = sa.select(StoredSession).where(StoredSession.user_id == user_id, StoredSession.expires_at > now)
    return session.scalars(query.order_by(StoredSession.seen_at.desc(), StoredSession.id)).all()


def of_person_by_id(session: Session, user_id: int, session_id: str) -> StoredSession | None:
    return session.scalar(
        sa.select(StoredSession).where(StoredSession.id == session_id, StoredSession.user_id == user_id)
    )
