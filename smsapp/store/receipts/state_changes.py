"""What carriers say later, written to the ledger in bulk: where messages stand, and their moves from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from smsapp.domain.message import ACCEPTED_STATES, FAILED_STATES, Status
from smsapp.store.db import add_up, changed, dialect, list_of, one_of
from smsapp.store.runs import billed_parts
from smsapp.store.runs.ledger import Changes, add_to_tallies, tally_key
from smsapp.store.runs.runs import WAS, Batch, BatchState, Message, ReceiptBucket, Run, Tally

BUCKET_SECONDS = 60


class MessageState(NamedTuple):
    """Where messages stand; `in_flight` tells queued ones in a worker's hands from those that wait."""

    status: Status
    reason: str
    in_flight: bool
    parts: int = 0
    """What the answer said it is billed as; 0 while there is none."""


def current_states(
    session: Session, wanted: Mapping[int, Collection[int]]
) -> list[tuple[int, MessageState, list[int]]]:
    """Return where these messages (run -> seqs) stand, those of a run that stand alike together: (run, where, seqs).

    They stay locked until the transaction ends. Unknown ones are absent.
    """
    if not wanted:
        return []
    if dialect() == "postgresql":
        _lock_runs_in_doubt(session, wanted)
    found = []
    for run_id, seqs in sorted(wanted.items()):
        # Rows are few: a number for each message and nothing else comes from the database and is read in one go.
        for status, reason, parts, alike in session.connection().execute(_standing(run_id, seqs)).all():
            stands = MessageState(Status(status), reason or "", False, parts or 0)
            if stands.status is not Status.QUEUED:
                found.append((run_id, stands, alike))
                continue
            claimed_batches = _in_flight(session, run_id)
            in_flight = {seq for seq in alike if any(lo <= seq <= hi for lo, hi in claimed_batches)}
            found.append((run_id, stands._replace(in_flight=True), sorted(in_flight)))
            found.append((run_id, stands, [seq for seq in alike if seq not in in_flight]))
    return found


def _standing(run_id: int, seqs: Collection[int]) -> sa.Select[Any]:
    """Return (status, reason, parts, list of seqs) of these messages, and lock them in their order."""
    its = sa.select(Message.seq, Message.status, Message.reason, Message.parts).where(
        Message.run_id == run_id, one_of(Message.seq, sorted(seqs))
    )
    locked = its.order_by(Message.seq).with_for_update().cte("its")
    return sa.select(locked.c.status, locked.c.reason, locked.c.parts, list_of(locked.c.seq)).group_by(
        locked.c.status, locked.c.reason, locked.c.parts
    )


def _in_flight(session: Session, run_id: int) -> list[tuple[int, int]]:
    """Return the ranges (lo, hi) of a run's messages that are in workers' hands."""
    in_flight = sa.select(Batch.lo, Batch.hi).where(Batch.state == BatchState.CLAIMED, Batch.run_id == run_id)
    return [(lo, hi) for lo, hi in session.execute(in_flight)]


def _lock_runs_in_doubt(session: Session, run_ids: Collection[int]) -> None:
    """Lock the runs whose billed parts may change: before their messages, as a write-back does."""
    unconfirmed = sa.exists().where(Tally.run_id == Run.id, Tally.state == tally_key(Status.UNCONFIRMED), Tally.n > 0)
    session.execute(sa.select(Run.id).where(Run.id.in_(run_ids), unconfirmed).order_by(Run.id).with_for_update())


class StateChange(NamedTuple):
    """The way of messages of a run from `known` to `status`, with the carrier's reason and code."""

    run_id: int
    known: MessageState
    status: Status
    reason: str
    code: str


def is_accepted_by(move: StateChange) -> bool:
    """Say whether it is only by this that the messages count as accepted."""
    return move.known.status not in ACCEPTED_STATES and move.status in ACCEPTED_STATES


def apply_changes(session: Session, moves: Mapping[StateChange, Sequence[int]], at: int) -> None:
    """Write what these messages (seqs) move to, with their tallies and the chart's buckets.

    The rows are locked since `where_they_stand`.
    """
    if not moves:
        return
    ends: dict[tuple[int, Status, str, str], list[int]] = {}
    changes: dict[int, Changes] = {}
    buckets: Counter[tuple[int, str]] = Counter()
    billed: Counter[int] = Counter()
    for move, seqs in moves.items():
        run_id, known, status, reason, code = move
        ends.setdefault((run_id, status, reason, code), []).extend(seqs)
        mine = changes.setdefault(run_id, Counter())
        mine[tally_key(Status.IN_FLIGHT if known.in_flight else known.status), known.reason] -= len(seqs)
        mine[tally_key(status), reason] += len(seqs)
        buckets[run_id, tally_key(status)] += len(seqs)
        if is_accepted_by(move):
            billed[run_id] += known.parts * len(seqs)
    for (run_id, status, reason, code), seqs in sorted(ends.items()):
        moved = sa.update(Message).where(Message.run_id == run_id, one_of(Message.seq, seqs))
        changed(
            session,
            moved.values(status=int(status), reason=reason or None, code=code or Message.code, receipt_at=at),
        )
    for run_id, mine in _carried_on(session, moves).items():
        changes.setdefault(run_id, Counter()).update(mine)
    for run_id in sorted(changes):
        add_to_tallies(session, run_id, changes[run_id])
    for run_id, more in sorted(billed.items()):
        billed_parts.add(session, run_id, more)
    bucket = at // BUCKET_SECONDS * BUCKET_SECONDS
    add_up(
        session,
        ReceiptBucket,
        [
            {"run_id": run_id, "bucket": bucket, "state": state, "n": n}
            for (run_id, state), n in sorted(buckets.items())
        ],
    )


def _carried_on(session: Session, moves: Mapping[StateChange, Sequence[int]]) -> dict[int, Changes]:
    """Return what changes for runs that repeat these messages: where their people are in the run they repeat."""
    failed = {
        (move.run_id, seq): move for move, seqs in moves.items() if move.known.status in FAILED_STATES for seq in seqs
    }
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
            mine[WAS + tally_key(move.known.status), move.known.reason] -= 1
            mine[WAS + tally_key(move.status), move.reason] += 1
    return changes


def close_without_receipt(session: Session, run_id: int) -> int:
    """Call every message that still waits for its receipt "no receipt"; return how many."""
    moved = changed(
        session,
        sa.update(Message)
        .where(Message.run_id == run_id, Message.status == Status.ACCEPTED)
        .values(status=int(Status.NO_RECEIPT)),
    )
    add_to_tallies(
        session, run_id, {(tally_key(Status.ACCEPTED), ""): -moved, (tally_key(Status.NO_RECEIPT), ""): moved}
    )
    return moved
