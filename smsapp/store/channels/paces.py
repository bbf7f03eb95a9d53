"""The learned pace of each channel, stored and shared by all senders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import pace as rules
from smsapp.domain.pace import Pace
from smsapp.store.db import Base, changed, lock_row, upsert


class ChannelPace(Base):
    """The `domain/pace.py` Pace of a channel; no row: nothing learned yet."""

    __tablename__ = "channel_pace"

    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    begin: Mapped[float] = mapped_column("begin_rate", sa.Float)
    limit: Mapped[float] = mapped_column("limit_rate", sa.Float)
    since: Mapped[dt.datetime]
    refusals: Mapped[int]

    @property
    def pace(self) -> Pace:
        return Pace(self.begin, self.limit, self.since, self.refusals)


def of(session: Session, channel_ids: Iterable[int]) -> dict[int, Pace]:
    """Return {channel id: pace}, reloaded from the database; channels without one are absent."""
    query = sa.select(ChannelPace).where(ChannelPace.channel_id.in_([*channel_ids]))
    rows = session.scalars(query.execution_options(populate_existing=True))
    return {row.channel_id: row.pace for row in rows}


def slow_down(
    session: Session,
    channel_id: int,
    accepted: float,
    refused: float,
    now: dt.datetime,
    retry_after: float | None = None,
) -> Pace:
    """Store and return the pace after the provider has asked to slow down, computed by `slower`."""
    row = lock_row(session, ChannelPace, channel_id)
    pace = rules.slower(row.pace if row else None, accepted, refused, now, retry_after)
    if row is None:
        session.execute(upsert(ChannelPace).values(_columns(channel_id, pace)).on_conflict_do_nothing())
    elif pace != row.pace:
        row.begin, row.limit, row.since, row.refusals = pace.begin, pace.limit, pace.since, pace.refusals
    return pace


def speed_up(session: Session, channel_id: int, previous: Pace, used: float, now: dt.datetime) -> None:
    """Store the pace after `used` messages per second were sent, unless another sender has changed it meanwhile."""
    pace = rules.faster(previous, used, now)
    if pace != previous:
        same = (ChannelPace.channel_id == channel_id, ChannelPace.since == previous.since)
        changed(session, sa.update(ChannelPace).where(*same).values(_columns(channel_id, pace)))


def delete(session: Session, channel_id: int) -> None:
    """Delete the pace of a channel: its settings have changed, or it is deleted."""
    changed(session, sa.delete(ChannelPace).where(ChannelPace.channel_id == channel_id))


def _columns(channel_id: int, pace: Pace) -> dict[str, object]:
    return {
        "channel_id": channel_id, "begin": pace.begin, "limit": pace.limit, "since": pace.since,
        "refusals": pace.refusals,
    }  # fmt: skip
