"""Segments and, for static and uploaded ones, their members; the rule tree as SQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


class Segment(Base):
    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """dynamic, static, uploaded"""
    rule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    computed_at: Mapped[dt.datetime | None]
    size: Mapped[int | None]
    """Members when last computed; None = never."""


class SegmentMember(Base):
    __tablename__ = "segment_member"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_id: Mapped[int] = mapped_column(sa.ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True)
