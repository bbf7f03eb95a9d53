"""Applies receipts to the ledger in bulk: the present states of messages, and their changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from smsapp.domain.message import ACCEPTED_STATES, FAILED_STATES, Status
from smsapp.store.db import add_up, changed, dialect, list_of, one_of
from smsapp.store.runs import billed_parts, result_events
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.result_events import Result
from smsapp.store.runs.runs import Batch, BatchState, Message, Run
from smsapp.store.runs.tallies import Changes, Tally, add_to_tallies, earlier_key, tally_key

BUCKET_SECONDS = 60


class MessageState(NamedTuple):
    """The present state of messages; `in_flight` distinguishes queued ones that are in flight."""

    status: Status
    reason: str
    in_flight: bool
    parts: int = 0
    """Billed parts; 0 while there is no answer."""


def current_states(
    session: Session, seqs_by_run: Mapping[int, Collection[int]]
) -> list[tuple[int, MessageState, list[int]]]:
    """Return the present states of these messages (run -> seqs) as (run, state, seqs), grouped by run and state.

    They stay locked until the transaction ends. Unknown messages are absent.
    """
    if not seqs_by_run:
        return []
    if dialect() == "postgresql":
        _lock_runs_with_unconfirmed(session, seqs_by_run)
    groups = []
    for run_id, seqs in sorted(seqs_by_run.items()):
        # Few rows: the seqs of a state come as one list.
        for status, reason, parts, group in session.connection().execute(_states_query(run_id, seqs)).all():
            state = MessageState(Status(status), reason or "", False, parts or 0)
            if state.status is not Status.QUEUED:
                groups.append((run_id, state, group))
                continue
            claimed_batches = _in_flight(session, run_id)
            in_flight = {seq for seq in group if any(lo <= seq <= hi for lo, hi in claimed_batches)}
            groups.append((run_id, state._replace(in_flight=True), sorted(in_flight)))
            groups.append((run_id, state, [seq for seq in group if seq not in in_flight]))
    return groups


def _states_query(run_id: int, seqs: Collection[int]) -> sa.Select[Any]:
    """Return the SELECT of (status, reason, parts, list of seqs) of these messages; it locks them by seq."""
    its = sa.select(Message.seq, Message.status, Message.reason, Message.parts).where(
        Message.run_id == run_id, one_of(Message.seq, sorted(seqs))
    )
    locked = its.order_by(Message.seq).with_for_update().cte("its")
    return sa.select(locked.c.status, locked.c.reason, locked.c.parts, list_of(locked.c.seq)).group_by(
        locked.c.status, locked.c.reason, locked.c.parts
    )


def _in_flight(session: Session, run_id: int) -> list[tuple[int, int]]:
    """Return the ranges (lo, hi) of a run's messages in claimed batches."""
    in_flight = sa.select(Batch.lo, Batch.hi).where(Batch.state == BatchState.CLAIMED, Batch.run_id == run_id)
    return [(lo, hi) for lo, hi in session.execute(in_flight)]


def _lock_runs_with_unconfirmed(session: Session, run_ids: Collection[int]) -> None:
    """Lock the runs whose billed parts may change, before their messages, as a write-back does."""
    unconfirmed = sa.exists().where(Tally.run_id == Run.id, Tally.state == tally_key(Status.UNCONFIRMED), Tally.n > 0)
    session.execute(sa.select(Run.id).where(Run.id.in_(run_ids), unconfirmed).order_by(Run.id).with_for_update())


class StateChange(NamedTuple):
    """A change of messages of a run from `previous` to `status`, with the carrier's reason and code."""

    run_id: int
    previous: MessageState
    status: Status
    reason: str
    code: str


def is_accepted_by(change: StateChange) -> bool:
    """Return whether the messages become accepted by this change."""
    return change.previous.status not in ACCEPTED_STATES and change.status in ACCEPTED_STATES


def apply_changes(session: Session, changes: Mapping[StateChange, Sequence[int]], at: int) -> None:
    """Store these changes (change -> seqs) at `at` (Unix seconds), with the tallies and the chart's buckets.

    The rows are locked since `current_states`.
    """
    if not changes:
        return
    ends: dict[tuple[int, Status, str, str], list[int]] = {}
    tally_changes: dict[int, Changes] = {}
    buckets: Counter[tuple[int, str]] = Counter()
    billed: Counter[int] = Counter()
    for change, seqs in changes.items():
        run_id, state, status, reason, code = change
        ends.setdefault((run_id, status, reason, code), []).extend(seqs)
        run_changes = tally_changes.setdefault(run_id, Counter())
        run_changes[tally_key(Status.IN_FLIGHT if state.in_flight else state.status), state.reason] -= len(seqs)
        run_changes[tally_key(status), reason] += len(seqs)
        buckets[run_id, tally_key(status)] += len(seqs)
        if is_accepted_by(change):
            billed[run_id] += state.parts * len(seqs)
    for (run_id, status, reason, code), seqs in sorted(ends.items()):
        statement = sa.update(Message).where(Message.run_id == run_id, one_of(Message.seq, seqs))
        changed(
            session,
            statement.values(status=int(status), reason=reason or None, code=code or Message.code, receipt_at=at),
        )
    if result_events.is_wanted(session):
        results: dict[int, list[Result]] = {}
        for (run_id, status, reason, _code), seqs in ends.items():
            results.setdefault(run_id, []).append(Result(status, reason, seqs))
        result_events.note(session, results, at)
    for run_id, run_changes in _changes_in_repetitions(session, changes).items():
        tally_changes.setdefault(run_id, Counter()).update(run_changes)
    for run_id in sorted(tally_changes):
        add_to_tallies(session, run_id, tally_changes[run_id])
    for run_id, parts in sorted(billed.items()):
        billed_parts.add(session, run_id, parts)
    bucket = at // BUCKET_SECONDS * BUCKET_SECONDS
    add_up(
        session,
        ReceiptBucket,
        [
            {"run_id": run_id, "bucket": bucket, "state": state, "n": n}
            for (run_id, state), n in sorted(buckets.items())
        ],
    )


def _changes_in_repetitions(session: Session, changes: Mapping[StateChange, Sequence[int]]) -> dict[int, Changes]:
    """Return the changes of tallies of the runs that repeat these messages, by run.

    Such a run counts its people by their status in the run that it repeats, too (`earlier_key`); only failed messages
    are repeated.
    """
    changed_messages = {
        (change.run_id, seq): change
        for change, seqs in changes.items()
        if change.previous.status in FAILED_STATES
        for seq in seqs
    }
    if not changed_messages:
        return {}
    run_ids = {run_id for run_id, _seq in changed_messages}
    repetitions = session.execute(sa.select(Run.id, Run.repeats).where(Run.repeats.in_(run_ids))).all()
    tally_changes: dict[int, Changes] = {}
    repeating_message = aliased(Message)
    for repetition, original in sorted((run_id, original or 0) for run_id, original in repetitions):
        seqs = [seq for run_id, seq in changed_messages if run_id == original]
        repeated_seqs = session.scalars(
            sa.select(Message.seq)
            .join(
                repeating_message,
                sa.and_(repeating_message.run_id == repetition, repeating_message.phone == Message.phone),
            )
            .where(Message.run_id == original, Message.seq.in_(seqs))
        )
        for seq in repeated_seqs:
            change = changed_messages[original, seq]
            run_changes = tally_changes.setdefault(repetition, Counter())
            run_changes[earlier_key(change.previous.status), change.previous.reason] -= 1
            run_changes[earlier_key(change.status), change.reason] += 1
    return tally_changes


def close_without_receipt(session: Session, run_id: int) -> int:
    """Set every message that is still ACCEPTED to NO_RECEIPT; return how many."""
    updated = changed(
        session,
        sa.update(Message)
        .where(Message.run_id == run_id, Message.status == Status.ACCEPTED)
        .values(status=int(Status.NO_RECEIPT)),
    )
    add_to_tallies(
        session, run_id, {(tally_key(Status.ACCEPTED), ""): -updated, (tally_key(Status.NO_RECEIPT), ""): updated}
    )
    return updated
