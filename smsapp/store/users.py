"""People who sign in, their one-time links, and the audit log of who did what."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, BigId, changed


class User(Base):
    __tablename__ = "app_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(sa.String(120), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    password_hash: Mapped[str] = mapped_column(sa.String(255), default="")
    role: Mapped[str] = mapped_column(sa.String(20))
    sees_numbers: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    locale: Mapped[str] = mapped_column(sa.String(10), default="")
    session_mark: Mapped[str] = mapped_column(sa.String(32), default="")
    """Part of every session cookie; a new mark signs the person out everywhere."""
    created_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime | None]

    def __repr__(self) -> str:
        return f"<Person {self.id}>"


class LoginLink(Base):
    """A one-time link by which a person sets a first (or new) password; only its hash is stored."""

    __tablename__ = "login_link"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"))
    expires_at: Mapped[dt.datetime]


class EndedSession(Base):
    """A session its person signed out of: until it would have expired anyway, a copy of its cookie is worth nothing."""

    __tablename__ = "ended_session"

    session_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    expires_at: Mapped[dt.datetime]


class AuditEntry(Base):
    """One line of the audit log: who did what to what, when."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"), index=True)
    by: Mapped[str] = mapped_column(sa.String(120))
    """The person's login, or the command or job that acted."""
    address: Mapped[str] = mapped_column(sa.String(45), default="")
    """Where the request came from; "" for commands and jobs."""
    action: Mapped[str] = mapped_column(sa.String(40), index=True)
    noun: Mapped[str] = mapped_column(sa.String(40))
    noun_id: Mapped[str] = mapped_column(sa.String(64))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Preference(Base):
    """A product-wide setting an administrator changes in the pages (frequency caps and the like)."""

    __tablename__ = "preference"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    value: Mapped[dict[str, Any]]


def by_login(session: Session, login: str) -> User | None:
    return session.scalar(sa.select(User).where(User.login == login))


def everybody(session: Session) -> list[User]:
    """Return all people: active ones first, then by login."""
    return list(session.scalars(sa.select(User).order_by(User.active.desc(), User.login)))


def any_password(session: Session) -> bool:
    """Return whether anybody can sign in with a password yet."""
    return session.scalar(sa.select(sa.exists().where(User.password_hash != ""))) or False


def lock_administrators(session: Session, role: str) -> list[int]:
    """Return the ids of the active people of this role, locked, so that two demotions at once cannot remove both."""
    found = sa.select(User.id).where(User.role == role, User.active).order_by(User.id).with_for_update()
    return list(session.scalars(found))


def person_of_link(session: Session, token_hash: str, now: dt.datetime) -> User | None:
    """Return the person of a link that can still be used."""
    found = sa.select(User).join(LoginLink).where(LoginLink.token_hash == token_hash, LoginLink.expires_at > now)
    return session.scalar(found.where(User.active))


def spend_link(session: Session, token_hash: str, now: dt.datetime) -> bool:
    """Remove a link; False if it is gone or too old: of two people who use it at once only one wins."""
    spent = sa.delete(LoginLink).where(LoginLink.token_hash == token_hash, LoginLink.expires_at > now)
    return changed(session, spent) == 1


def drop_links(session: Session, user_id: int, now: dt.datetime) -> None:
    """Remove this person's links, and everybody's that are too old."""
    session.execute(sa.delete(LoginLink).where(sa.or_(LoginLink.user_id == user_id, LoginLink.expires_at <= now)))


def end_session(session: Session, session_id: str, expires_at: dt.datetime, now: dt.datetime) -> None:
    """Remember that this session was ended, and forget those that would have expired by now."""
    session.execute(sa.delete(EndedSession).where(EndedSession.expires_at <= now))
    session.merge(EndedSession(session_id=session_id, expires_at=expires_at))


def invited(session: Session, now: dt.datetime) -> set[int]:
    """Return the ids of people with a link that can still be used."""
    return set(session.scalars(sa.select(LoginLink.user_id).where(LoginLink.expires_at > now)))


def audit_log(
    session: Session, user_id: int | None = None, action: str = "", before: int | None = None, limit: int = 50
) -> list[AuditEntry]:
    """Return lines of the audit log, newest first, older than line `before`."""
    found = sa.select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if user_id is not None:
        found = found.where(AuditEntry.user_id == user_id)
    if action:
        found = found.where(AuditEntry.action == action)
    if before is not None:
        found = found.where(AuditEntry.id < before)
    return list(session.scalars(found))


def times(session: Session, user_id: int, action: str, since: dt.datetime) -> int:
    """Return how often this person did this since then."""
    lines = sa.select(sa.func.count()).where(
        AuditEntry.user_id == user_id, AuditEntry.action == action, AuditEntry.at > since
    )
    return session.scalar(lines) or 0


def audit_actions(session: Session) -> list[str]:
    """Return the actions that occur in the audit log, by a walk along the index instead of a scan."""
    first = sa.select(sa.func.min(AuditEntry.action).label("action")).cte("steps", recursive=True)
    following = sa.select(sa.func.min(AuditEntry.action)).where(AuditEntry.action > first.c.action).scalar_subquery()
    steps = first.union_all(sa.select(following).where(first.c.action.is_not(None)))
    return list(session.scalars(sa.select(steps.c.action).where(steps.c.action.is_not(None))))
