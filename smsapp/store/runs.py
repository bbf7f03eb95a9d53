"""The ledger: runs, batches, messages, exclusions and their tallies.

A message is (run, seq), seq counting 1..planned without gaps, so a batch is two numbers and a claim touches one row. On
PostgreSQL messages and exclusions are partitioned by run, whose ids grow with time: retention drops whole partitions.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId

RUNS_PER_PARTITION = 1000
PARTITIONED = {"postgresql_partition_by": "RANGE (run_id)", "sqlite_with_rowid": False}


class RunState(enum.StrEnum):
    OPEN = "open"
    """Made for its slot; the audience is not frozen yet."""
    SENDING = "sending"
    HELD = "held"
    """Waits for `hold_until`, or for a person if that is empty; `hold_reason` says why."""
    DONE = "done"
    MISSED = "missed"


class BatchState(enum.IntEnum):
    READY = 0
    HANDED = 1
    DONE = 2


class Run(Base):
    __tablename__ = "run"
    __table_args__ = (
        sa.UniqueConstraint("campaign_id", "slot"),
        sa.Index("ix_run_unfinished", "state", sqlite_where=sa.text("finished_at IS NULL"),
                 postgresql_where=sa.text("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id"))
    slot: Mapped[dt.datetime]
    """The due moment this run is for; unique per campaign, so two schedulers make one run."""
    state: Mapped[str] = mapped_column(sa.String(10))
    verdict: Mapped[str] = mapped_column(sa.String(10), default="")
    """sent, failed, stopped, missed; "" while it goes on"""
    hold_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    hold_until: Mapped[dt.datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """Calls in a row that reached nobody; drives the back-off."""
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id"))
    segment_id: Mapped[int | None]
    template: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was frozen: code, name, text, signature, variables, marketing, mapping, segment name, price, currency."""
    target: Mapped[int] = mapped_column(default=0)
    planned: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """Billed parts of accepted messages."""
    opened_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]


class Batch(Base):
    __tablename__ = "batch"
    __table_args__ = (sa.Index("ix_batch_state_run", "state", "run_id"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    lo: Mapped[int]
    hi: Mapped[int]
    """Messages lo..hi, both included; only those still QUEUED are the batch's work."""
    state: Mapped[int] = mapped_column(sa.SmallInteger, default=BatchState.READY)
    claim: Mapped[str] = mapped_column(sa.String(32), default="")
    """Who holds it; a write-back under another claim changes nothing."""
    lease_until: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)


class Message(Base):
    __tablename__ = "message"
    __table_args__ = (sa.UniqueConstraint("run_id", "phone"), PARTITIONED)

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigId)
    phone: Mapped[str] = mapped_column(sa.String(16))
    params: Mapped[str | None] = mapped_column(sa.Text)
    """JSON array of the variables' values in the template's order; NULL if it has none."""
    status: Mapped[int] = mapped_column(sa.SmallInteger)
    """domain/message.py Status. HANDED is never stored: a QUEUED message whose batch is HANDED is in flight."""
    parts: Mapped[int | None] = mapped_column(sa.SmallInteger)
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    """An Outcome for REFUSED and UNDELIVERED; who or what decided for CANCELLED."""
    code: Mapped[str | None] = mapped_column(sa.String(80))
    provider_ref: Mapped[str | None] = mapped_column(sa.String(80))
    answered_at: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Unix seconds of the channel's answer."""
    receipt_at: Mapped[int | None] = mapped_column(sa.BigInteger)


class Exclusion(Base):
    __tablename__ = "exclusion"
    __table_args__ = (PARTITIONED,)

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(sa.String(20))


class Tally(Base):
    """How many people of a run are where: changed in the same transaction as the rows it counts.

    state "excluded" with a Left reason, or the name of a message status with its reason ("" where it has none).
    """

    __tablename__ = "tally"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    reason: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    n: Mapped[int]


class ReceiptBucket(Base):
    """Receipts of a run over time, for the chart: `bucket` is Unix seconds cut to ten minutes."""

    __tablename__ = "receipt_bucket"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    bucket: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    n: Mapped[int]


class ProviderRef(Base):
    """Where a provider's own id leads, for kinds whose receipts do not bring our reference back."""

    __tablename__ = "provider_ref"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ref: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    """"" where the id alone names one message."""
    run_id: Mapped[int] = mapped_column(BigId)
    seq: Mapped[int]
