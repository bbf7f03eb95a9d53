"""Deletes the messages of old runs. Their tallies, runs and campaigns stay.

On PostgreSQL whole partitions are dropped, once all of their runs are old; on SQLite rows are deleted in chunks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.db import changed, dialect
from smsapp.store.runs.partitions import RUNS_PER_PARTITION
from smsapp.store.runs.provider_refs import ProviderRef
from smsapp.store.runs.runs import Batch, Exclusion, Message, Run


def old_runs(session: Session, before: dt.datetime, limit: int) -> Sequence[int]:
    """Return ids of runs that finished before this moment and still have their messages, oldest first.

    On PostgreSQL only those whose partition can be dropped: every run of it is old, and no new one can be added.
    """
    return session.scalars(sa.select(Run.id).where(*_old(before)).order_by(Run.id).limit(limit)).all()


def count_old(session: Session, before: dt.datetime) -> tuple[int, dt.datetime | None]:
    """Return (messages of these runs, when the first of them finished)."""
    query = sa.select(sa.func.coalesce(sa.func.sum(Run.planned), 0), sa.func.min(Run.finished_at)).where(*_old(before))
    n, oldest = session.execute(query).one()
    return int(n), oldest


def _old(before: dt.datetime) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on runs whose messages may be deleted."""
    conditions = [Run.forgotten_at.is_(None), Run.finished_at < before]
    if dialect() == "postgresql":
        partition = Run.id // RUNS_PER_PARTITION
        first_young = sa.select(sa.func.min(Run.id)).where(sa.or_(Run.finished_at.is_(None), Run.finished_at >= before))
        newest = sa.select(sa.func.max(Run.id))
        bound = sa.func.coalesce(first_young.scalar_subquery(), newest.scalar_subquery())
        conditions.append(partition < bound // RUNS_PER_PARTITION)
    return conditions


def delete_some(session: Session, run_id: int, limit: int) -> int:
    """Delete up to `limit` messages or exclusions of a run, with their provider refs; return how many."""
    seqs = sa.select(Message.seq).where(Message.run_id == run_id).order_by(Message.seq).limit(limit)
    _delete_refs(session, run_id, seqs)
    removed = changed(session, sa.delete(Message).where(Message.run_id == run_id, Message.seq.in_(seqs)))
    if removed:
        return removed
    people = sa.select(Exclusion.contact_id).where(Exclusion.run_id == run_id).limit(limit)
    return changed(session, sa.delete(Exclusion).where(Exclusion.run_id == run_id, Exclusion.contact_id.in_(people)))


def delete_refs_between(session: Session, run_id: int, lo: int, hi: int) -> int:
    """Delete the provider refs of messages lo..hi of a run; return how many messages there are."""
    seqs = sa.select(Message.seq).where(Message.run_id == run_id, Message.seq.between(lo, hi))
    _delete_refs(session, run_id, seqs)
    return session.scalar(sa.select(sa.func.count()).select_from(seqs.subquery())) or 0


def _delete_refs(session: Session, run_id: int, seqs: sa.Select[int]) -> None:
    channel = sa.select(Run.channel_id).where(Run.id == run_id).scalar_subquery()
    refs = sa.select(Message.provider_ref).where(
        Message.run_id == run_id, Message.seq.in_(seqs), Message.provider_ref.is_not(None)
    )
    changed(
        session,
        sa.delete(ProviderRef).where(
            ProviderRef.channel_id == channel, ProviderRef.ref.in_(refs), ProviderRef.run_id == run_id
        ),
    )


def mark_deleted(session: Session, run_ids: Sequence[int], now: dt.datetime) -> None:
    """Set `forgotten_at` of these runs and delete their batches."""
    changed(session, sa.delete(Batch).where(Batch.run_id.in_(run_ids)))
    changed(session, sa.update(Run).where(Run.id.in_(run_ids)).values(forgotten_at=now))
