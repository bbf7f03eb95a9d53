"""What people text back, and who does not want to be written to."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


class Reply(Base):
    __tablename__ = "reply"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inbox_id: Mapped[int | None] = mapped_column(BigId)
    position: Mapped[int] = mapped_column(default=0)
    """Which one within its callback; (inbox_id, position) makes applying twice harmless."""
    channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    campaign_id: Mapped[int | None] = mapped_column(sa.ForeignKey("campaign.id", ondelete="SET NULL"))
    phone: Mapped[str] = mapped_column(sa.String(16), index=True)
    text: Mapped[str] = mapped_column(sa.Text)
    opt_out: Mapped[bool] = mapped_column(default=False)
    received_at: Mapped[dt.datetime] = mapped_column(index=True)

    __table_args__ = (sa.UniqueConstraint("inbox_id", "position"),)


class OptOut(Base):
    """A number nobody writes to, for every campaign, until a person removes it."""

    __tablename__ = "opt_out"

    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    """reply, provider, person, import"""
    note: Mapped[str] = mapped_column(sa.String(255), default="")
    channel_id: Mapped[int | None]
    campaign_id: Mapped[int | None]
    at: Mapped[dt.datetime]
