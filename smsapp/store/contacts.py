"""Contacts, their typed properties, who they are under other ids, and records that could not be kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


class Contact(Base):
    """A person known by a user id. `phones` holds what `domain/phone.py` made of every phone property in use:
    {property: "+8613800138000"}, or {property: ""} where a value is there but no number can be read from it."""

    __tablename__ = "contact"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    phones: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]

    def __repr__(self) -> str:
        return f"<Contact {self.id}>"


class Alias(Base):
    """An anonymous id that turned out to be a registered one. The first binding wins."""

    __tablename__ = "alias"

    anonymous_id: Mapped[str] = mapped_column(sa.String(254), primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), index=True)
    created_at: Mapped[dt.datetime]


class Property(Base):
    """A property of contacts; its type is the type of the first value ever seen."""

    __tablename__ = "property"

    name: Mapped[str] = mapped_column(sa.String(125), primary_key=True)
    """Lower-cased, as Ark stores property ids."""
    type: Mapped[str] = mapped_column(sa.String(10))
    """One of domain/contact.py Type: string, number, bool, datetime, list."""
    label: Mapped[str] = mapped_column(sa.String(125), default="")
    created_at: Mapped[dt.datetime]


class BadRecord(Base):
    """A reported or imported record that was not kept, with the reason; the good ones beside it were."""

    __tablename__ = "bad_record"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    appid: Mapped[str] = mapped_column(sa.String(64), default="")
    reason: Mapped[str] = mapped_column(sa.String(40))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    raw: Mapped[str] = mapped_column(sa.Text)


class AppKey(Base):
    """A key by which the organisation's apps report profiles."""

    __tablename__ = "app_key"

    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]
    last_used_at: Mapped[dt.datetime | None]


class Import(Base):
    """An uploaded file of contacts on its way in. `position` rows are committed: a restart goes on after them."""

    __tablename__ = "import"

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(sa.String(255))
    path: Mapped[str] = mapped_column(sa.String(255))
    """Relative to the instance folder's uploads."""
    format: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How to read the file: kind, encoding, delimiter, header."""
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(sa.String(20))
    """uploaded, queued, running, done, failed"""
    failure: Mapped[str] = mapped_column(sa.String(60), default="")
    size: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    read_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    position: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[dt.datetime | None]
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
