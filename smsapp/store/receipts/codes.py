"""Providers' codes that no table describes: counted per channel, so that somebody notices and describes them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, upsert

MOST = 200
"""Most codes kept of one channel; from then on new ones are counted together as OTHERS."""
OTHERS = "…"


class UnknownCode(Base):
    __tablename__ = "unknown_code"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    n: Mapped[int]
    first_at: Mapped[dt.datetime]
    last_at: Mapped[dt.datetime]


def count(session: Session, found: Iterable[tuple[int, str]], now: dt.datetime) -> None:
    """Count these codes (channel, code) that nobody has described; one statement, whatever their number."""
    counted = Counter((channel_id, code) for channel_id, code in found if code)
    if not counted:
        return
    channels = {channel_id for channel_id, _code in counted}
    known = sa.select(UnknownCode.channel_id, UnknownCode.code).where(UnknownCode.channel_id.in_(channels))
    kept = {(channel_id, code) for channel_id, code in session.execute(known)}
    room = {channel_id: MOST - sum(one == channel_id for one, _code in kept) for channel_id in channels}
    totals: Counter[tuple[int, str]] = Counter()
    for (channel_id, code), n in sorted(counted.items()):
        if (channel_id, code) not in kept:
            room[channel_id] -= 1
        totals[channel_id, code if room[channel_id] >= 0 or (channel_id, code) in kept else OTHERS] += n
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
    """Return the codes of this channel, or of all, the latest first."""
    chosen = sa.select(UnknownCode).order_by(UnknownCode.last_at.desc(), UnknownCode.channel_id, UnknownCode.code)
    if channel_id is not None:
        chosen = chosen.where(UnknownCode.channel_id == channel_id)
    return session.scalars(chosen.execution_options(populate_existing=True)).all()
