"""Unmatched receipts, which name no message of ours: stored to be retried later or shown to a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.phone import ERASED
from smsapp.store.db import Base, BigId, changed, upsert
from smsapp.store.runs.provider_refs import ProviderRef


class UnmatchedReceipt(Base):
    """An unmatched receipt; `at` is when it last came, so it grows with the id."""

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
"""Columns by which two unmatched receipts are the same."""
_REPLACED = sa.delete(UnmatchedReceipt).where(*(getattr(UnmatchedReceipt, name) == sa.bindparam(name) for name in SAME))


def store(session: Session, unmatched: Sequence[dict[str, Any]], now: dt.datetime) -> None:
    """Store unmatched receipts.

    One that comes again replaces the one before, so that applying twice leaves no duplicate, and so that a provider may
    reuse an id: the new receipt has a new time and is retried.
    """
    if not unmatched:
        return
    rows = {tuple(unmatched[name] for name in SAME): {**unmatched, "at": now} for unmatched in unmatched}
    session.connection().execute(_REPLACED, [dict(zip(SAME, key, strict=True)) for key in rows])
    session.connection().execute(upsert(UnmatchedReceipt).on_conflict_do_nothing(), list(rows.values()))


def has_some(session: Session, channel_ids: Iterable[int], since: dt.datetime) -> bool:
    """Return whether the latest unmatched receipt of any of these channels came after this moment."""
    latest = sa.select(UnmatchedReceipt.at).order_by(UnmatchedReceipt.id.desc()).limit(1)
    ats = (
        session.scalar(latest.where(UnmatchedReceipt.channel_id == channel_id)) for channel_id in sorted(channel_ids)
    )
    return any(at is not None and at > since for at in ats)


def is_any_since(session: Session, since: dt.datetime) -> bool:
    """Return whether the latest unmatched receipt came after this moment."""
    at = session.scalar(sa.select(UnmatchedReceipt.at).order_by(UnmatchedReceipt.id.desc()).limit(1))
    return at is not None and at > since


def with_message(session: Session, since: dt.datetime, after: int, limit: int) -> Sequence[UnmatchedReceipt]:
    """Return unmatched receipts since this moment, above the id `after`, whose provider's id now maps to a message."""
    leads = sa.exists().where(
        ProviderRef.channel_id == UnmatchedReceipt.channel_id,
        ProviderRef.ref == UnmatchedReceipt.provider_ref,
        _may_be_same(ProviderRef.phone, UnmatchedReceipt.phone),
    )
    query = sa.select(UnmatchedReceipt).where(UnmatchedReceipt.at > since, UnmatchedReceipt.provider_ref != "", leads)
    return session.scalars(query.where(UnmatchedReceipt.id > after).order_by(UnmatchedReceipt.id).limit(limit)).all()


def _may_be_same(phone: Any, named: Any) -> Any:
    """Return the condition that `named` may be this phone; `domain/receipt_match.py` decides."""
    ends_alike = (phone.like("%" + sa.func.substr(named, 2)), named.like("%" + sa.func.substr(phone, 2)))
    return sa.or_(phone == named, named == "", named.startswith(ERASED), *ends_alike)


def page(
    session: Session, *, channel_id: int | None, ref: str, before: int | None, limit: int
) -> Sequence[UnmatchedReceipt]:
    """Return unmatched receipts below the id `before`, newest first; filtered by channel and exact `ref` if given.

    `ref` is our reference or the provider's id. Each is searched separately, because each has its own index.
    """
    query = sa.select(UnmatchedReceipt).order_by(UnmatchedReceipt.id.desc()).limit(limit)
    if channel_id is not None:
        query = query.where(UnmatchedReceipt.channel_id == channel_id)
    if before is not None:
        query = query.where(UnmatchedReceipt.id < before)
    if not ref:
        return session.scalars(query).all()
    sides = (UnmatchedReceipt.ref, UnmatchedReceipt.provider_ref)
    unmatched = {unmatched.id: unmatched for side in sides for unmatched in session.scalars(query.where(side == ref))}
    return [unmatched[id_] for id_ in sorted(unmatched, reverse=True)[:limit]]


def seen(session: Session, channel_id: int, most: int) -> Sequence[dt.datetime]:
    """Return when the channel's latest unmatched receipts came, newest first."""
    query = sa.select(UnmatchedReceipt.at).where(UnmatchedReceipt.channel_id == channel_id)
    return session.scalars(query.order_by(UnmatchedReceipt.id.desc()).limit(most)).all()


def delete(session: Session, ids: Sequence[int]) -> None:
    if ids:
        changed(session, sa.delete(UnmatchedReceipt).where(UnmatchedReceipt.id.in_(ids)))


def delete_beyond(session: Session, channel_id: int, most: int, limit: int) -> int:
    """Delete up to `limit` of the channel's unmatched receipts beyond its latest `most`; return how many."""
    mine = sa.select(UnmatchedReceipt.id).where(UnmatchedReceipt.channel_id == channel_id)
    bound = mine.order_by(UnmatchedReceipt.id.desc()).offset(most).limit(1).scalar_subquery()
    beyond = mine.where(UnmatchedReceipt.id <= bound).order_by(UnmatchedReceipt.id).limit(limit)
    return changed(session, sa.delete(UnmatchedReceipt).where(UnmatchedReceipt.id.in_(beyond)))
