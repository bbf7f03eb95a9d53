"""Providers' unknown codes: counted per channel, so that people notice and describe them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, upsert

MOST = 200
"""Most codes stored per channel; further ones are counted together as OTHERS."""
OTHERS = "…"


class UnknownCode(Base):
    __tablename__ = "unknown_code"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    n: Mapped[int]
    first_at: Mapped[dt.datetime]
    last_at: Mapped[dt.datetime]


def count(session: Session, codes: Iterable[tuple[int, str]], now: dt.datetime) -> None:
    """Count these unknown codes, (channel id, code), with one UPSERT."""
    counted = Counter((channel_id, code) for channel_id, code in codes if code)
    if not counted:
        return
    channels = {channel_id for channel_id, _code in counted}
    query = sa.select(UnknownCode.channel_id, UnknownCode.code).where(UnknownCode.channel_id.in_(channels))
    existing = {(channel_id, code) for channel_id, code in session.execute(query)}
    room = {channel_id: MOST - sum(channel == channel_id for channel, _code in existing) for channel_id in channels}
    totals: Counter[tuple[int, str]] = Counter()
    for (channel_id, code), n in sorted(counted.items()):
        if (channel_id, code) not in existing:
            room[channel_id] -= 1
        totals[channel_id, code if room[channel_id] >= 0 or (channel_id, code) in existing else OTHERS] += n
    rows = [
        {"channel_id": channel_id, "code": code, "n": n, "first_at": now, "last_at": now}
        for (channel_id, code), n in sorted(totals.items())
    ]
    statement = upsert(UnknownCode).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[UnknownCode.channel_id, UnknownCode.code],
            set_={"n": UnknownCode.n + statement.excluded.n, "last_at": statement.excluded.last_at},
        )
    )


def listed(session: Session, channel_id: int | None = None) -> Sequence[UnknownCode]:
    """Return the unknown codes of this channel, or of all, the latest first."""
    query = sa.select(UnknownCode).order_by(UnknownCode.last_at.desc(), UnknownCode.channel_id, UnknownCode.code)
    if channel_id is not None:
        query = query.where(UnknownCode.channel_id == channel_id)
    return session.scalars(query.execution_options(populate_existing=True)).all()
