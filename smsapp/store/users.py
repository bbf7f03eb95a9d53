"""People who sign in, their one-time links, and the audit log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store import journal
from smsapp.store.db import Base, BigId, changed, one_of, upsert


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


class AuditEntry(Base):
    """One entry of the audit log: who did what to what, when."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"), index=True)
    by: Mapped[str] = mapped_column(sa.String(120))
    """The person's login, or the command or job that acted."""
    address: Mapped[str] = mapped_column(sa.String(45), default="")
    """IP address of the request; "" for commands and jobs."""
    action: Mapped[str] = mapped_column(sa.String(40), index=True)
    noun: Mapped[str] = mapped_column(sa.String(40), index=True)
    noun_id: Mapped[str] = mapped_column(sa.String(64))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    position: Mapped[int | None] = mapped_column(sa.BigInteger, unique=True, index=True)
    """In the chain, without gaps (store/audit_chain.py); None for entries of versions before the chain."""
    digest: Mapped[str | None] = mapped_column(sa.String(64))
    """Keyed hash of this entry and of the digest before it."""


DEMO = "demo"
"""Preference: what the demo has made, store/demo_rows.py."""


class Preference(Base):
    """A product-wide setting that an administrator changes in the pages, such as frequency caps."""

    __tablename__ = "preference"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    value: Mapped[dict[str, Any]]


def by_login(session: Session, login: str) -> User | None:
    return session.scalar(sa.select(User).where(User.login == login))


def note_rights(session: Session, person: User) -> None:
    """Have the journal tell what this person may do from now on."""
    journal.note(session, journal.PERSON, person.login, person.role, person.sees_numbers, person.active)


def all_users(session: Session) -> list[User]:
    """Return all people: active ones first, then by login."""
    return list(session.scalars(sa.select(User).order_by(User.active.desc(), User.login)))


def any_password(session: Session) -> bool:
    """Return whether any person has a password."""
    return session.scalar(sa.select(sa.exists().where(User.password_hash != ""))) or False


def lock_administrators(session: Session, role: str) -> list[int]:
    """Return the ids of the active people with this role, locked, so that concurrent demotions cannot remove all."""
    query = sa.select(User.id).where(User.role == role, User.active).order_by(User.id).with_for_update()
    return list(session.scalars(query))


def user_of_link(session: Session, token_hash: str, now: dt.datetime) -> User | None:
    """Return the active person of a link that is still valid."""
    query = sa.select(User).join(LoginLink).where(LoginLink.token_hash == token_hash, LoginLink.expires_at > now)
    return session.scalar(query.where(User.active))


def spend_link(session: Session, token_hash: str, now: dt.datetime) -> bool:
    """Delete a link; return False if it is gone or expired: of two concurrent uses only one succeeds."""
    statement = sa.delete(LoginLink).where(LoginLink.token_hash == token_hash, LoginLink.expires_at > now)
    return changed(session, statement) == 1


def delete_links(session: Session, user_id: int, now: dt.datetime) -> None:
    """Delete this person's links, and all expired ones."""
    session.execute(sa.delete(LoginLink).where(sa.or_(LoginLink.user_id == user_id, LoginLink.expires_at <= now)))


def invited(session: Session, now: dt.datetime) -> set[int]:
    """Return the ids of people with a valid link."""
    return set(session.scalars(sa.select(LoginLink.user_id).where(LoginLink.expires_at > now)))


def times(session: Session, user_id: int, action: str, since: dt.datetime) -> int:
    """Return how often this person did this since then."""
    lines = sa.select(sa.func.count()).where(
        AuditEntry.user_id == user_id, AuditEntry.action == action, AuditEntry.at > since
    )
    return session.scalar(lines) or 0


def times_by(session: Session, name: str, action: str, since: dt.datetime) -> int:
    """Return how often an actor that is no person, such as an API key, did this since then."""
    lines = sa.select(sa.func.count()).where(
        AuditEntry.user_id.is_(None), AuditEntry.by == name, AuditEntry.action == action, AuditEntry.at > since
    )
    return session.scalar(lines) or 0


def names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Return the names of these people; of one who is gone there is none."""
    return dict(iter(session.execute(sa.select(User.id, User.name).where(one_of(User.id, ids)))))


def count_able(session: Session, role: str) -> int:
    """Return how many active people with this role can sign in with a password."""
    able = (User.role == role, User.active, User.password_hash != "")
    return session.scalar(sa.select(sa.func.count()).where(*able)) or 0


def preference(session: Session, name: str) -> dict[str, Any] | None:
    """Return a setting of the whole product; None if it was never saved."""
    return session.scalar(sa.select(Preference.value).where(Preference.name == name))


def save_preference(session: Session, name: str, value: dict[str, Any]) -> None:
    """Store a setting of the whole product."""
    statement = upsert(Preference).values(name=name, value=value)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
