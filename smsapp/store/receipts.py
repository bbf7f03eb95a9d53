"""The inbox: callbacks as they came, stored before they are acknowledged and applied later in bulk."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


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


class StrayReceipt(Base):
    """A receipt that names no message of ours."""

    __tablename__ = "stray_receipt"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    at: Mapped[dt.datetime]
    ref: Mapped[str] = mapped_column(sa.String(80), default="")
    provider_ref: Mapped[str] = mapped_column(sa.String(80), default="")
    news: Mapped[str] = mapped_column(sa.String(12))
    code: Mapped[str] = mapped_column(sa.String(80), default="")
