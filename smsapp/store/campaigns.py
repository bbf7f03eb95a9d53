"""Campaigns: what is sent to whom, through what, when."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base


class Campaign(Base):
    __tablename__ = "campaign"
    __table_args__ = (
        sa.Index("ix_campaign_status_id", "status", "id"),
        sa.Index("ix_campaign_due", "status", "next_due_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), default="")
    status: Mapped[str] = mapped_column(sa.String(10))
    segment_id: Mapped[int | None] = mapped_column(sa.ForeignKey("segment.id", ondelete="SET NULL"))
    channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    template_id: Mapped[int | None] = mapped_column(sa.ForeignKey("sms_template.id", ondelete="SET NULL"))
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """variable -> {"property": name, "fallback": text or null} or {"fixed": text}"""
    schedule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """domain/schedule.py Schedule.as_json()"""
    recurring: Mapped[bool] = mapped_column(default=False)
    zone: Mapped[str] = mapped_column(sa.String(60))
    grace_minutes: Mapped[int]
    next_due_at: Mapped[dt.datetime | None]
    confirmed_template: Mapped[dict[str, Any] | None]
    """{"text", "signature"} as confirmed; compared with the template when a run opens."""
    failure: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the last run failed: an Outcome or a code of services/sending.py; "" otherwise."""
    version: Mapped[int] = mapped_column(default=1)
    """Goes up with every saved edit; a form that began from an older one is not saved over it."""
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime | None]
    deleted_at: Mapped[dt.datetime | None]
    """A deleted campaign leaves the pages; its ledger stays for frequency caps and audit."""
