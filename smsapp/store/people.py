"""People who sign in, their one-time links, and the trail of who did what."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


class Person(Base):
    __tablename__ = "person"

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
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"))
    expires_at: Mapped[dt.datetime]


class Trail(Base):
    """One line of the audit trail: who did what to what, when."""

    __tablename__ = "trail"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
    by: Mapped[str] = mapped_column(sa.String(120))
    """The person's login, or the command or job that acted."""
    action: Mapped[str] = mapped_column(sa.String(40))
    noun: Mapped[str] = mapped_column(sa.String(40))
    noun_id: Mapped[str] = mapped_column(sa.String(64))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Preference(Base):
    """A product-wide setting an administrator changes in the pages (frequency caps and the like)."""

    __tablename__ = "preference"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    value: Mapped[dict[str, Any]]
