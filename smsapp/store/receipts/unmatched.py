"""Receipts that name no message of ours: kept as columns, for later or for a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, BigId, changed, upsert
from smsapp.store.runs.runs import ProviderRef


class UnmatchedReceipt(Base):
    """A receipt that names no message of ours; `at` is when it came (last), so it grows with the id."""

    __tablename__ = "unmatched_receipt"
    __table_args__ = (
        sa.Index("ix_unmatched_receipt_channel_id_id", "channel_id", "id"),
        sa.Index("ix_unmatched_receipt_ref_id", "ref", "id"),
        sa.Index("ix_unmatched_receipt_provider_ref_id", "provider_ref", "id"),
        sa.Index(
            "ix_unmatched_receipt_same", "channel_id", "provider_ref", "ref", "phone", "status", "code", unique=True
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    at: Mapped[dt.datetime] = mapped_column(index=True)
    ref: Mapped[str] = mapped_column(sa.String(80), default="")
    provider_ref: Mapped[str] = mapped_column(sa.String(80), default="")
    phone: Mapped[str] = mapped_column(sa.String(16), default="")
    outcome: Mapped[str | None] = mapped_column(sa.String(40))
    status: Mapped[str] = mapped_column(sa.String(12))
    code: Mapped[str] = mapped_column(sa.String(80), default="")


SAME = ("channel_id", "provider_ref", "ref", "phone", "status", "code")
"""What makes two unmatched the same one."""
_REPLACED = sa.delete(UnmatchedReceipt).where(*(getattr(UnmatchedReceipt, name) == sa.bindparam(name) for name in SAME))


def keep(session: Session, unmatched: Sequence[dict[str, Any]], now: dt.datetime) -> None:
    """Keep receipts that name no message of ours.

    One that comes again takes the place of the one before, so that applying twice leaves no double, and so that a
    provider may use an id a second time: the new one is young and tried again.
    """
    if not unmatched:
        return
    rows = {tuple(unmatched[name] for name in SAME): {**unmatched, "at": now} for unmatched in unmatched}
    session.connection().execute(_REPLACED, [dict(zip(SAME, key, strict=True)) for key in rows])
    session.connection().execute(upsert(UnmatchedReceipt).on_conflict_do_nothing(), list(rows.values()))


def has_some(session: Session, channel_ids: Iterable[int], since: dt.datetime) -> bool:
    """Say whether the latest unmatched receipt of any of these channels came after this moment."""
    latest = sa.select(UnmatchedReceipt.at).order_by(UnmatchedReceipt.id.desc()).limit(1)
    ats = (
        session.scalar(latest.where(UnmatchedReceipt.channel_id == channel_id)) for channel_id in sorted(channel_ids)
    )
    return any(at is not None and at > since for at in ats)


def placed(session: Session, since: dt.datetime, after: int, limit: int) -> Sequence[UnmatchedReceipt]:
    """Return unmatched that came after this moment and behind this id whose provider's id leads to a message by now."""
    leads = sa.exists().where(
        ProviderRef.channel_id == UnmatchedReceipt.channel_id,
        ProviderRef.ref == UnmatchedReceipt.provider_ref,
        _may_be_same(ProviderRef.phone, UnmatchedReceipt.phone),
    )
    chosen = sa.select(UnmatchedReceipt).where(UnmatchedReceipt.at > since, UnmatchedReceipt.provider_ref != "", leads)
    return session.scalars(chosen.where(UnmatchedReceipt.id > after).order_by(UnmatchedReceipt.id).limit(limit)).all()


def _may_be_same(phone: Any, named: Any) -> Any:
    """Return the condition that a named number may be this phone, which `domain/receipt_match.py` then decides."""
    ends_alike = (phone.like("%" + sa.func.substr(named, 2)), named.like("%" + sa.func.substr(phone, 2)))
    return sa.or_(phone == named, named == "", *ends_alike)


def page(
    session: Session, *, channel_id: int | None, ref: str, before: int | None, limit: int
) -> Sequence[UnmatchedReceipt]:
    """Return unmatched below the id `before`, newest first; only this channel's, only those with this very id.

    `ref` is our reference or the provider's id. Each is looked for alone: it has an index of its own in this order.
    """
    chosen = sa.select(UnmatchedReceipt).order_by(UnmatchedReceipt.id.desc()).limit(limit)
    if channel_id is not None:
        chosen = chosen.where(UnmatchedReceipt.channel_id == channel_id)
    if before is not None:
        chosen = chosen.where(UnmatchedReceipt.id < before)
    if not ref:
        return session.scalars(chosen).all()
    sides = (UnmatchedReceipt.ref, UnmatchedReceipt.provider_ref)
    found = {one.id: one for side in sides for one in session.scalars(chosen.where(side == ref))}
    return [found[one] for one in sorted(found, reverse=True)[:limit]]


def seen(session: Session, channel_id: int, most: int) -> Sequence[dt.datetime]:
    """Return when the channel's latest unmatched came, newest first."""
    chosen = sa.select(UnmatchedReceipt.at).where(UnmatchedReceipt.channel_id == channel_id)
    return session.scalars(chosen.order_by(UnmatchedReceipt.id.desc()).limit(most)).all()


def forget(session: Session, ids: Sequence[int]) -> None:
    if ids:
        changed(session, sa.delete(UnmatchedReceipt).where(UnmatchedReceipt.id.in_(ids)))


def forget_old(session: Session, before: dt.datetime, limit: int) -> int:
    """Remove up to `limit` unmatched older than this moment; return how many went."""
    old = sa.select(UnmatchedReceipt.id).where(UnmatchedReceipt.at < before).order_by(UnmatchedReceipt.at).limit(limit)
    return changed(session, sa.delete(UnmatchedReceipt).where(UnmatchedReceipt.id.in_(old)))


def forget_beyond(session: Session, channel_id: int, most: int, limit: int) -> int:
    """Remove up to `limit` of the channel's unmatched that are older than its latest `most`; return how many went."""
    mine = sa.select(UnmatchedReceipt.id).where(UnmatchedReceipt.channel_id == channel_id)
    bound = mine.order_by(UnmatchedReceipt.id.desc()).offset(most).limit(1).scalar_subquery()
    beyond = mine.where(UnmatchedReceipt.id <= bound).order_by(UnmatchedReceipt.id).limit(limit)
    return changed(session, sa.delete(UnmatchedReceipt).where(UnmatchedReceipt.id.in_(beyond)))
