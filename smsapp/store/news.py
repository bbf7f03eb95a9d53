"""What carriers say later, written to the ledger in bulk: where messages stand, and their moves from there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from smsapp.domain.message import ACCEPTED_STATES, FAILED_STATES, Status
from smsapp.store.db import add_up, changed, dialect
from smsapp.store.ledger import ROWS_AT_ONCE, Changes, name, shift
from smsapp.store.runs import WAS, Batch, BatchState, Message, ProviderRef, ReceiptBucket, Run, Tally

BUCKET_SECONDS = 600
_STATUSES = {int(status): status for status in Status}


@dataclass(slots=True)  # not frozen: that makes each of them three times as dear
class Known:
    """Where a message stands; `handed` tells a queued message in a worker's hands from one that waits."""

    status: Status
    reason: str
    handed: bool
    parts: int = 0
    """What the answer said it is billed as; 0 while there is none."""


def where_they_stand(session: Session, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Known]:
    """Return where these messages (run, seq) stand, locked until the transaction ends; unknown ones are absent."""
    if not keys:
        return {}
    if dialect() == "postgresql":
        _lock_runs_in_doubt(session, {run_id for run_id, _seq in keys})
        rows = session.connection().exec_driver_sql(
            "SELECT m.run_id, m.seq, m.status, m.reason, m.parts FROM unnest(%s::bigint[], %s::int[]) v(run_id, seq)"
            " JOIN message m ON m.run_id = v.run_id AND m.seq = v.seq ORDER BY m.run_id, m.seq FOR UPDATE OF m",
            ([run for run, _ in keys], [seq for _, seq in keys]),
        ).all()  # fmt: skip
    else:
        # CROSS JOIN is SQLite's word for "in this order": it would look into the list once for every message.
        seqs: dict[int, list[int]] = {}
        for run_id, seq in keys:
            seqs.setdefault(run_id, []).append(seq)
        rows = [
            row
            for run_id, its_seqs in seqs.items()
            for row in session.connection().exec_driver_sql(
                "SELECT m.run_id, m.seq, m.status, m.reason, m.parts FROM json_each(?) v"
                " CROSS JOIN message m ON m.run_id = ? AND m.seq = v.value",
                (json.dumps(its_seqs), run_id),
            )
        ]
    early = {run_id for run_id, _seq, status, _reason, _parts in rows if status == Status.QUEUED}
    in_flight = [
        (run_id, lo, hi)
        for run_id, lo, hi in session.execute(
            sa.select(Batch.run_id, Batch.lo, Batch.hi).where(Batch.state == BatchState.HANDED, Batch.run_id.in_(early))
        )
    ]
    return {
        (run_id, seq): Known(
            _STATUSES[status],
            reason or "",
            status == Status.QUEUED and any(run_id == r and lo <= seq <= hi for r, lo, hi in in_flight),
            parts or 0,
        )
        for run_id, seq, status, reason, parts in rows
    }


def _lock_runs_in_doubt(session: Session, run_ids: Collection[int]) -> None:
    """Lock the runs whose billed parts may change: before their messages, as a write-back does."""
    doubts = sa.exists().where(Tally.run_id == Run.id, Tally.state == name(Status.UNCONFIRMED), Tally.n > 0)
    session.execute(sa.select(Run.id).where(Run.id.in_(run_ids), doubts).order_by(Run.id).with_for_update())


@dataclass(slots=True)  # not frozen, as Known
class Move:
    """One message's way from `known` to `status`, with the carrier's reason."""

    run_id: int
    seq: int
    known: Known
    status: Status
    reason: str
    code: str


def _store_moves(session: Session, run_id: int, moves: Sequence[Move], at: int) -> None:
    """Write one run's moves on SQLite, as `ledger` writes answers: one statement for many rows."""
    for begin in range(0, len(moves), ROWS_AT_ONCE):
        some = moves[begin : begin + ROWS_AT_ONCE]
        session.connection().exec_driver_sql(
            "UPDATE message SET status = v.column2, reason = nullif(v.column3, ''),"  # noqa: S608
            " code = coalesce(nullif(v.column4, ''), code), receipt_at = ?"
            f" FROM (VALUES {', '.join(['(?, ?, ?, ?)'] * len(some))}) v"
            " WHERE message.run_id = ? AND message.seq = v.column1",
            (at, *(value for m in some for value in (m.seq, int(m.status), m.reason, m.code)), run_id),
        )


def apply_moves(session: Session, moves: Sequence[Move], at: int) -> None:
    """Write these moves with their tallies and the chart's buckets; the rows are locked since `where_they_stand`."""
    if not moves:
        return
    if dialect() == "postgresql":
        session.connection().exec_driver_sql(
            "UPDATE message m SET status = v.status, reason = nullif(v.reason, ''),"
            " code = coalesce(nullif(v.code, ''), m.code), receipt_at = %s"
            " FROM unnest(%s::bigint[], %s::int[], %s::smallint[], %s::text[], %s::text[])"
            " v(run_id, seq, status, reason, code)"
            " WHERE m.run_id = v.run_id AND m.seq = v.seq",
            (
                at,
                [m.run_id for m in moves],
                [m.seq for m in moves],
                [int(m.status) for m in moves],
                [m.reason for m in moves],
                [m.code for m in moves],
            ),
        )
    else:
        by_run: dict[int, list[Move]] = {}
        for move in moves:
            by_run.setdefault(move.run_id, []).append(move)
        for run_id, its_moves in by_run.items():
            _store_moves(session, run_id, its_moves, at)
    kinds = Counter(
        (m.run_id, Status.HANDED if m.known.handed else m.known.status, m.known.reason, m.status, m.reason)
        for m in moves
    )
    changes: dict[int, Changes] = {}
    buckets: Counter[tuple[int, str]] = Counter()
    for (run_id, before, why, after, reason), n in kinds.items():
        mine = changes.setdefault(run_id, Counter())
        mine[name(before), why] -= n
        mine[name(after), reason] += n
        buckets[run_id, name(after)] += n
    billed: Counter[int] = Counter()
    for move in moves:
        if move.known.status not in ACCEPTED_STATES and move.status in ACCEPTED_STATES:
            billed[move.run_id] += move.known.parts
    for run_id, mine in _carried_on(session, moves).items():
        changes.setdefault(run_id, Counter()).update(mine)
    for run_id in sorted(changes):
        shift(session, run_id, changes[run_id])
    for run_id, parts in sorted(billed.items()):
        if parts:
            changed(session, sa.update(Run).where(Run.id == run_id).values(parts=Run.parts + parts))
    bucket = at // BUCKET_SECONDS * BUCKET_SECONDS
    add_up(
        session,
        ReceiptBucket,
        [
            {"run_id": run_id, "bucket": bucket, "state": state, "n": n}
            for (run_id, state), n in sorted(buckets.items())
        ],
    )


def _carried_on(session: Session, moves: Sequence[Move]) -> dict[int, Changes]:
    """Return what changes for runs that repeat these messages: where their people are in the run they repeat."""
    failed = {(m.run_id, m.seq): m for m in moves if m.known.status in FAILED_STATES}
    if not failed:
        return {}
    repeating = dict(
        iter(session.execute(sa.select(Run.id, Run.repeats).where(Run.repeats.in_({k[0] for k in failed}))))
    )
    if not repeating:
        return {}
    changes: dict[int, Changes] = {}
    again = aliased(Message)
    for run_id, first in sorted(repeating.items()):
        found = session.execute(
            sa.select(Message.seq)
            .join(again, sa.and_(again.run_id == run_id, again.phone == Message.phone))
            .where(Message.run_id == first, Message.seq.in_([seq for run, seq in failed if run == first]))
        )
        for (seq,) in found:
            move = failed[first or 0, seq]
            mine = changes.setdefault(run_id, Counter())
            mine[WAS + name(move.known.status), move.known.reason] -= 1
            mine[WAS + name(move.status), move.reason] += 1
    return changes


def by_provider_ref(session: Session, channel_id: int, refs: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (ref, phone or "") -> (run, seq) for a provider's ids."""
    found = session.execute(
        sa.select(ProviderRef.ref, ProviderRef.phone, ProviderRef.run_id, ProviderRef.seq).where(
            ProviderRef.channel_id == channel_id, ProviderRef.ref.in_(refs)
        )
    )
    return {(ref, phone): (run_id, seq) for ref, phone, run_id, seq in found}
