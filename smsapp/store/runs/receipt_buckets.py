"""When the receipts of a run came."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, BigId


class ReceiptBucket(Base):
    """Receipts of a run over time, for the chart: `bucket` is Unix seconds cut to BUCKET_SECONDS."""

    __tablename__ = "receipt_bucket"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    bucket: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    n: Mapped[int]
