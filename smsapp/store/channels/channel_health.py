"""How a channel does: what became of its messages hour by hour, and its latest calls.

Neither table points at the channel by a foreign key: a test message is no reason to keep a channel for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.outcome import CallResult
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, add_up, changed
from smsapp.store.runs.runs import Run, Tally

HOUR = 3600


class ChannelHour(Base):
    """How many messages ended how: `hour` is Unix seconds cut to the hour, `last_at` when it happened last."""

    __tablename__ = "channel_hour"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hour: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    result: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    """domain/outcome.py Check"""
    reason: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    """An Outcome, or "" where there is none."""
    n: Mapped[int]
    last_at: Mapped[int] = mapped_column(sa.BigInteger)


class ChannelCall(Base):
    """One call to a provider, without anything that was in it."""

    __tablename__ = "channel_call"
    __table_args__ = (sa.Index("ix_channel_call_channel_id_id", "channel_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel_id: Mapped[int]
    at: Mapped[dt.datetime]
    what: Mapped[str] = mapped_column(sa.String(10))
    """send, test, check, balance, pull"""
    messages: Mapped[int]
    milliseconds: Mapped[int]
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    """Of the last HTTP answer; None if there was none."""
    result: Mapped[str] = mapped_column(sa.String(16))
    outcome: Mapped[str] = mapped_column(sa.String(40))
    code: Mapped[str] = mapped_column(sa.String(80))


def add(session: Session, channel_id: int, counts: Mapping[tuple[str, str], int], now: dt.datetime) -> None:
    """Count messages by (result, reason) into the present hour."""
    at = int(now.timestamp())
    # Sorted, so that two workers lock the rows in the same order.
    rows = [
        {"channel_id": channel_id, "hour": at - at % HOUR, "result": result, "reason": reason, "n": n, "last_at": at}
        for (result, reason), n in sorted(counts.items())
        if n
    ]
    add_up(session, ChannelHour, rows, latest=("last_at",))


_CALL = sa.insert(ChannelCall)


def keep(session: Session, calls: Sequence[Mapping[str, Any]]) -> None:
    """Write calls into the log: one statement."""
    if calls:
        session.connection().execute(_CALL, [*calls])


def calls(session: Session, channel_id: int, most: int) -> Sequence[ChannelCall]:
    """Return the latest calls, newest first."""
    chosen = sa.select(ChannelCall).where(ChannelCall.channel_id == channel_id)
    return session.scalars(chosen.order_by(ChannelCall.id.desc()).limit(most)).all()


def hours(session: Session, channel_id: int, since: dt.datetime) -> list[tuple[int, str, str, int]]:
    """Return (hour, result, reason, messages) since then, in order."""
    chosen = sa.select(ChannelHour.hour, ChannelHour.result, ChannelHour.reason, ChannelHour.n).where(
        ChannelHour.channel_id == channel_id, ChannelHour.hour >= int(since.timestamp())
    )
    return [(hour, result, reason, n) for hour, result, reason, n in session.execute(chosen.order_by(ChannelHour.hour))]


def last_success(session: Session, channel_ids: Sequence[int]) -> dict[int, dt.datetime]:
    """Return when each channel last took a message; one that never did, or not lately, is absent."""
    chosen = (
        sa.select(ChannelHour.channel_id, sa.func.max(ChannelHour.last_at))
        .where(ChannelHour.channel_id.in_(channel_ids), ChannelHour.result == CallResult.OK)
        .group_by(ChannelHour.channel_id)
    )
    return {one: dt.datetime.fromtimestamp(at, dt.UTC) for one, at in session.execute(chosen)}


def forget_channel(session: Session, channel_id: int) -> None:
    """Remove what is known of a channel that is deleted."""
    for table in (ChannelHour, ChannelCall):
        changed(session, sa.delete(table).where(table.channel_id == channel_id))


def forget_hours(session: Session, before: dt.datetime) -> int:
    """Remove the hours before this moment; return how many rows."""
    return changed(session, sa.delete(ChannelHour).where(ChannelHour.hour < int(before.timestamp())))


def forget_calls(session: Session, most: int) -> int:
    """Leave each channel its latest `most` calls; return how many were removed."""
    newer = sa.orm.aliased(ChannelCall)
    bound = (
        sa.select(newer.id)
        .where(newer.channel_id == ChannelCall.channel_id)
        .order_by(newer.id.desc())
        .offset(most - 1)
        .limit(1)
        .scalar_subquery()
    )
    channels = session.scalars(sa.select(ChannelCall.channel_id).distinct()).all()
    return sum(
        changed(session, sa.delete(ChannelCall).where(ChannelCall.channel_id == one, ChannelCall.id < bound))
        for one in channels
    )


def missing_receipts(session: Session, channel_id: int, before: dt.datetime, since: dt.datetime) -> tuple[int, int]:
    """Return (messages still without a receipt, messages whose receipt is given up) of runs that ended in between."""
    counts = session.execute(
        sa.select(Tally.state, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(Run.channel_id == channel_id, Run.finished_at < before, Run.finished_at >= since)
        .where(Tally.state.in_(["accepted", "no_receipt"]))
        .group_by(Tally.state)
    ).all()
    found = {state: int(n) for state, n in counts}
    return found.get("accepted", 0), found.get("no_receipt", 0)


def sending(session: Session, channel_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the campaigns that are sending through this channel now."""
    mine = sa.exists().where(
        Run.campaign_id == Campaign.id,
        Run.finished_at.is_(None),
        Run.state == RunState.SENDING,
        Run.channel_id == channel_id,
    )
    return [(one, name) for one, name in session.execute(sa.select(Campaign.id, Campaign.name).where(mine))]
