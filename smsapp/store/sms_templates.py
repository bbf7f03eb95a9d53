"""SMS templates: texts of one channel with their audit state."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base


class SmsTemplate(Base):
    __tablename__ = "sms_template"
    __table_args__ = (sa.UniqueConstraint("channel_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    code: Mapped[str] = mapped_column(sa.String(120))
    """The provider's id of it; for providers without one, ours."""
    name: Mapped[str] = mapped_column(sa.String(120))
    text: Mapped[str] = mapped_column(sa.Text)
    """As approved, without the signature."""
    signature: Mapped[str] = mapped_column(sa.String(60), default="")
    """Without its brackets; the full text begins with 【signature】."""
    purpose: Mapped[str] = mapped_column(sa.String(20))
    """marketing, notification, verification (domain/sms_template.py Purpose)"""
    audit: Mapped[str] = mapped_column(sa.String(20))
    """pending, approved, refused (domain/sms_template.py Audit)"""
    audit_reason: Mapped[str] = mapped_column(sa.Text, default="")
    source: Mapped[str] = mapped_column(sa.String(10))
    """manual, import, sync"""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
