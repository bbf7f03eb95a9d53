"""The health of a channel: results of its messages by hour, and its latest calls.

Neither table has a foreign key to the channel, so that their rows do not prevent deleting it.
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
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally

HOUR = 3600
EARLIER = 0
"""The `hour` of all that came before the hours that are kept."""


class ChannelHour(Base):
    """Messages by hour and result: `hour` is Unix seconds cut to the hour, `last_at` Unix seconds of the latest one."""

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
    """One call to a provider, without its content."""

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


def store_calls(session: Session, calls: Sequence[Mapping[str, Any]]) -> None:
    """Insert calls into the log with one statement."""
    if calls:
        session.connection().execute(_CALL, [*calls])


def calls(session: Session, channel_id: int, most: int) -> Sequence[ChannelCall]:
    """Return the latest calls, newest first."""
    query = sa.select(ChannelCall).where(ChannelCall.channel_id == channel_id)
    return session.scalars(query.order_by(ChannelCall.id.desc()).limit(most)).all()


def hours(session: Session, channel_id: int, since: dt.datetime) -> list[tuple[int, str, str, int]]:
    """Return (hour, result, reason, messages) since then, in order."""
    query = sa.select(ChannelHour.hour, ChannelHour.result, ChannelHour.reason, ChannelHour.n).where(
        ChannelHour.channel_id == channel_id, ChannelHour.hour >= int(since.timestamp())
    )
    return [(hour, result, reason, n) for hour, result, reason, n in session.execute(query.order_by(ChannelHour.hour))]


def last_success(session: Session, channel_ids: Sequence[int]) -> dict[int, dt.datetime]:
    """Return {channel id: when it last accepted a message}; channels without a recent one are absent."""
    query = (
        sa.select(ChannelHour.channel_id, sa.func.max(ChannelHour.last_at))
        .where(ChannelHour.channel_id.in_(channel_ids), ChannelHour.result == CallResult.OK)
        .where(ChannelHour.hour != EARLIER)
        .group_by(ChannelHour.channel_id)
    )
    return {channel: dt.datetime.fromtimestamp(at, dt.UTC) for channel, at in session.execute(query)}


def delete_of_channel(session: Session, channel_id: int) -> None:
    """Delete the rows of a channel that is deleted."""
    for table in (ChannelHour, ChannelCall):
        changed(session, sa.delete(table).where(table.channel_id == channel_id))


def fold_hours(session: Session, before: dt.datetime) -> int:
    """Add the hours before this moment to the row of EARLIER, so that totals never fall; return how many there were."""
    old = ChannelHour.hour != EARLIER, ChannelHour.hour < int(before.timestamp())
    key = ChannelHour.channel_id, ChannelHour.result, ChannelHour.reason
    sums = sa.select(*key, sa.func.sum(ChannelHour.n).label("n"), sa.func.max(ChannelHour.last_at).label("last_at"))
    folded = session.execute(sums.where(*old).group_by(*key).order_by(*key)).mappings().all()
    add_up(session, ChannelHour, [dict(row) | {"hour": EARLIER} for row in folded], latest=("last_at",))
    return changed(session, sa.delete(ChannelHour).where(*old))


def totals(session: Session) -> list[tuple[int, str, str, int]]:
    """Return (channel, result, reason, messages) over all time."""
    key = ChannelHour.channel_id, ChannelHour.result, ChannelHour.reason
    sums = session.execute(sa.select(*key, sa.func.sum(ChannelHour.n)).group_by(*key))
    return [(channel_id, result, reason, int(n)) for channel_id, result, reason, n in sums]


def delete_calls(session: Session, most: int) -> int:
    """Delete all but the latest `most` calls of each channel; return how many."""
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
        changed(session, sa.delete(ChannelCall).where(ChannelCall.channel_id == channel_id, ChannelCall.id < bound))
        for channel_id in channels
    )


def missing_receipts(session: Session, channel_id: int, before: dt.datetime, since: dt.datetime) -> tuple[int, int]:
    """Return (accepted, no_receipt) messages of runs that finished in since..before."""
    counts = session.execute(
        sa.select(Tally.state, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(Run.channel_id == channel_id, Run.finished_at < before, Run.finished_at >= since)
        .where(Tally.state.in_(["accepted", "no_receipt"]))
        .group_by(Tally.state)
    ).all()
    by_state = {state: int(n) for state, n in counts}
    return by_state.get("accepted", 0), by_state.get("no_receipt", 0)


def sending(session: Session, channel_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the campaigns that are sending through this channel now."""
    mine = sa.exists().where(
        Run.campaign_id == Campaign.id,
        Run.finished_at.is_(None),
        Run.state == RunState.SENDING,
        Run.channel_id == channel_id,
    )
    return [
        (campaign_id, name) for campaign_id, name in session.execute(sa.select(Campaign.id, Campaign.name).where(mine))
    ]
