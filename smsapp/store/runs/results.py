"""The results of calls, written back: messages get their answers, batches their end, runs their tallies.

An answer may find its message in one of these states; everything happens in one transaction.

| case | the message is | is stored | tallies | billed |
| - | - | - | - | - |
| answer first | queued, its batch claimed by us | the answer | in flight -> answered | if accepted |
| receipt first | accepted or more, without an answer | parts, provider ref, code | unchanged | unless it was before |
| lease lost | unconfirmed, its batch closed by the sweep | the answer | unconfirmed -> answered | if accepted |
| repeated | as the answer says, or later | nothing | unchanged | no |
| no answer | queued, its batch claimed by us | nothing, the batch is ready again | in flight -> queued | no |

"Receipt first" also happens to a message whose lease was lost. "Repeated": the commit of the
first write-back was not confirmed. A lost batch is never made ready: its messages may have left.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import Outcome
from smsapp.store.db import as_array, as_json, dialect
from smsapp.store.receipts import codes
from smsapp.store.receipts.unconfirmed import KEPT_UNCONFIRMED
from smsapp.store.runs import billed_parts, result_events
from smsapp.store.runs.claims import WORKER_LOST, ClaimedBatch
from smsapp.store.runs.result_events import Result
from smsapp.store.runs.runs import Batch, BatchState, Message, channel_of, lock_runs
from smsapp.store.runs.tallies import Changes, add_to_tallies, tally_key

ROWS_AT_ONCE = 1000
"""Rows one UPDATE of SQLite takes, four parameters each; it allows 32,766."""


@dataclass(slots=True)  # not frozen, which would slow down construction
class MessageResult:
    """The result of the call for one message; status is ACCEPTED, REFUSED or UNCONFIRMED."""

    seq: int
    status: Status
    parts: int
    reason: str = ""
    code: str = ""
    provider_ref: str = ""


# While few other messages are queued, PostgreSQL estimates a batch's thousand queued messages as one row, and a nested
# loop would compare each of them with each of a thousand answers: a million comparisons per batch.
_JOIN_AS_SETS, _JOIN_FREELY = sa.text("SET LOCAL enable_nestloop = off"), sa.text("SET LOCAL enable_nestloop = on")
_OWNED = (
    Batch.run_id == sa.bindparam("run"),
    Batch.no == sa.bindparam("at_no"),
    Batch.state == BatchState.CLAIMED,
    Batch.claim == sa.bindparam("by"),
)
_IS_OWNED = sa.select(Batch.no).where(*_OWNED).with_for_update()
_RELEASE = sa.update(Batch).where(*_OWNED).values(state=sa.bindparam("to_state"), claim="", lease_until=None)


ResultsByRun: TypeAlias = dict[int, list[Result]]
"""Run -> what became of its messages, for webhooks."""


@dataclass(slots=True)
class PreparedResults:
    """A batch's answers, grouped and sorted before the transaction that stores them begins."""

    batch: ClaimedBatch
    answers: Sequence[MessageResult]
    groups: list[tuple[Status, str, list[MessageResult]]]
    """(status, reason, answers in the order of seq)"""
    unsent: list[int]
    """Seqs of messages that have not left."""
    under_way: bool
    """More answers are to come: the batch stays claimed."""


def prepare_results(
    batch: ClaimedBatch,
    answers: Sequence[MessageResult],
    stored: Sequence[MessageResult] = (),
    *,
    under_way: bool = False,
) -> PreparedResults:
    """Return these answers grouped for write_back; `stored` are the batch's answers that were written back before."""
    unsent: list[int] = []
    if not under_way:
        answered_seqs = {answer.seq for results in (answers, stored) for answer in results}
        unsent = [seq for seq, _phone, _params in batch.rows if seq not in answered_seqs]
    # The most frequent group is built without hashing a Status for each message.
    accepted = [answer for answer in answers if answer.status is Status.ACCEPTED and not answer.reason]
    groups = {(Status.ACCEPTED, ""): accepted} if accepted else {}
    for answer in answers if len(accepted) < len(answers) else ():
        if answer.status is not Status.ACCEPTED or answer.reason:
            groups.setdefault((answer.status, answer.reason), []).append(answer)
    for group in groups.values():
        group.sort(key=attrgetter("seq"))
    ordered = [(*key, group) for key, group in sorted(groups.items(), key=itemgetter(0))]
    return PreparedResults(batch, answers, ordered, unsent, under_way)


def write_back(session: Session, batches: Sequence[PreparedResults], at: int) -> bool:
    """Store batches' answers, tallies and states (`at`: Unix seconds); messages without an answer are queued again.

    Returns False if a lease was lost meanwhile.
    """
    connection = session.connection()
    batches = sorted(batches, key=lambda prepared: (prepared.batch.run_id, prepared.batch.no))
    changes: dict[int, Changes] = {prepared.batch.run_id: Counter() for prepared in batches}
    billed: Counter[int] = Counter()
    # Locks runs, then messages, then tallies, as closing.close and the applying of receipts do: another order could
    # deadlock.
    if dialect() == "postgresql":
        lock_runs(session, changes)
        connection.execute(_JOIN_AS_SETS)
    results_by_run: ResultsByRun | None = {} if result_events.is_wanted(session) else None
    owned = [
        _store_batch(session, prepared, at, changes[prepared.batch.run_id], billed, results_by_run)
        for prepared in batches
    ]
    if dialect() == "postgresql":
        connection.execute(_JOIN_FREELY)
    for run_id, its_changes in changes.items():
        add_to_tallies(session, run_id, its_changes)
        billed_parts.add(session, run_id, billed[run_id])
    _count_unknown_codes(session, batches, at)
    if results_by_run is not None:
        result_events.note(session, results_by_run, at)
    return all(owned)


def _count_unknown_codes(session: Session, batches: Sequence[PreparedResults], at: int) -> None:
    """Count the provider's codes that no table explains, by channel."""
    unknown = [
        (prepared.batch.run_id, answer.code)
        for prepared in batches
        for answer in prepared.answers
        if answer.reason == Outcome.UNKNOWN
    ]
    if unknown:
        channel_ids = channel_of(session, {prepared.batch.run_id for prepared in batches})
        channel_codes = [(channel_ids[run_id], code) for run_id, code in unknown]
        codes.count(session, channel_codes, dt.datetime.fromtimestamp(at, dt.UTC))


def _store_batch(
    session: Session,
    prepared: PreparedResults,
    at: int,
    changes: Changes,
    billed: Counter[int],
    results_by_run: ResultsByRun | None,
) -> bool:
    """Store one batch's answers and its state; return False if its lease was lost.

    Adds to `changes` and `billed`, and to `results_by_run` what became of messages but those that a receipt overtook.
    """
    run_id = prepared.batch.run_id
    owned = _close_batch(session, prepared)
    queued = _lock_messages(session, prepared.batch) if prepared.unsent or len(prepared.groups) > 1 else set[int]()
    # What an answer finds, and how tallies count it; of a lost batch a person may have decided meanwhile.
    if owned:
        previous, previous_reasons, counted_as = Status.QUEUED, [""], tally_key(Status.IN_FLIGHT)
    else:
        previous, previous_reasons = Status.UNCONFIRMED, [WORKER_LOST, KEPT_UNCONFIRMED]
        counted_as = tally_key(Status.UNCONFIRMED)
    for status, reason, answers in prepared.groups:
        stored = 0
        for previous_reason in previous_reasons:
            n = _store_answers(session, run_id, previous, previous_reason, answers, at)
            changes[counted_as, previous_reason] -= n
            stored += n
        changes[tally_key(status), reason] += stored
        if results_by_run is not None and stored:
            seqs = [answer.seq for answer in answers]
            changed_seqs = seqs if stored == len(answers) else _stored_just_now(session, run_id, status, seqs, at)
            results_by_run.setdefault(run_id, []).append(Result(status, reason, changed_seqs))
        if stored < len(answers):
            billed[run_id] += _complete_overtaken(session, run_id, answers, at, any_stored=stored > 0)
        elif status is Status.ACCEPTED:
            billed[run_id] += sum(answer.parts for answer in answers)
    if owned and prepared.unsent:
        still_queued = len(queued.intersection(prepared.unsent))
        changes[tally_key(Status.IN_FLIGHT), ""] -= still_queued
        changes[tally_key(Status.QUEUED), ""] += still_queued
    return owned


def _stored_just_now(session: Session, run_id: int, status: Status, seqs: Sequence[int], at: int) -> list[int]:
    """Return those of these messages that have this status from an answer of this moment."""
    is_stored = (Message.status == status, Message.answered_at == at, Message.receipt_at.is_(None))
    query = sa.select(Message.seq).where(Message.run_id == run_id, Message.seq.between(seqs[0], seqs[-1]), *is_stored)
    return sorted({*session.scalars(query)}.intersection(seqs))


def _close_batch(session: Session, prepared: PreparedResults) -> bool:
    """Make the batch ready or done, or lock it if more answers are to come; return False if its lease was lost."""
    key = {"run": prepared.batch.run_id, "at_no": prepared.batch.no, "by": prepared.batch.claim}
    if prepared.under_way:
        return session.connection().execute(_IS_OWNED, key).first() is not None
    state = int(BatchState.READY if prepared.unsent else BatchState.DONE)
    return session.connection().execute(_RELEASE, key | {"to_state": state}).rowcount == 1


def _lock_messages(session: Session, batch: ClaimedBatch) -> set[int]:
    """Lock a batch's messages in the order of seq, as receipts do: locking group after group is in another order.

    Returns the seqs that are queued; a receipt that came early may have changed the others.
    """
    between = Message.seq.between(batch.rows[0][0], batch.rows[-1][0])
    query = sa.select(Message.seq, Message.status).where(Message.run_id == batch.run_id, between)
    rows = session.connection().execute(query.order_by(Message.seq).with_for_update())
    return {seq for seq, status in rows if status == Status.QUEUED}


def _store_answers(
    session: Session, run_id: int, previous: Status, previous_reason: str, group: Sequence[MessageResult], at: int
) -> int:
    """Store a group's answers in those messages that have this previous status and reason; return how many.

    Driver SQL, because SQLAlchemy's executemany is slower here. On PostgreSQL each list is one
    text parameter, and rows are searched between the first and the last seq only: the statistics do not know a run that
    was just frozen, and PostgreSQL would read the whole run for each batch. On SQLite all rows go in one statement,
    because the driver releases the GIL for every statement and executemany would make the sender's two threads wait for
    each other a thousand times a batch.
    """
    connection, status, reason = session.connection(), int(group[0].status), group[0].reason or None
    if dialect() == "postgresql":
        return connection.exec_driver_sql(
            "UPDATE message m SET status = %s, reason = %s, answered_at = %s, parts = v.parts,"
            " code = nullif(v.code, ''), provider_ref = nullif(v.ref, '')"
            " FROM ROWS FROM (unnest(%s::int[]), unnest(%s::smallint[]), json_array_elements_text(%s),"
            " json_array_elements_text(%s)) v(seq, parts, code, ref)"
            " WHERE m.run_id = %s AND m.seq BETWEEN %s AND %s AND m.seq = v.seq AND m.status = %s"
            " AND coalesce(m.reason, '') = %s",
            (
                status,
                reason,
                at,
                as_array([a.seq for a in group]),
                as_array([a.parts for a in group]),
                as_json([a.code for a in group]),
                as_json([a.provider_ref for a in group]),
                run_id,
                group[0].seq,
                group[-1].seq,
                int(previous),
                previous_reason,
            ),
        ).rowcount
    updated = 0
    for begin in range(0, len(group), ROWS_AT_ONCE):
        chunk = group[begin : begin + ROWS_AT_ONCE]
        parameters = [value for a in chunk for value in (a.seq, a.parts, a.code or None, a.provider_ref or None)]
        updated += connection.exec_driver_sql(
            "UPDATE message SET status = ?, reason = ?, answered_at = ?, parts = v.column2, code = v.column3,"  # noqa: S608 # nosec B608
            f" provider_ref = v.column4 FROM (VALUES {', '.join(['(?, ?, ?, ?)'] * len(chunk))}) v"
            " WHERE message.run_id = ? AND message.seq = v.column1 AND message.status = ?"
            " AND coalesce(message.reason, '') = ?",
            (status, reason, at, *parameters, run_id, int(previous), previous_reason),
        ).rowcount
    return updated


def _complete_overtaken(
    session: Session, run_id: int, group: Sequence[MessageResult], at: int, *, any_stored: bool
) -> int:
    """Complete the messages of a group whose receipt came first; return the parts to bill for the whole group.

    `any_stored`: some answers of the group were stored just now. A message is billed once: with its answer, or before
    by services/receipts/billing.py, and then it has parts.
    """
    # All between the first and the last, as in _store_answers: a list of seqs made PostgreSQL read the whole run.
    between = Message.seq.between(group[0].seq, group[-1].seq)
    query = sa.select(Message.seq, Message.status, Message.answered_at, Message.parts)
    overtaken, unbilled = set(), set()
    for seq, status, answered_at, parts in session.connection().execute(query.where(Message.run_id == run_id, between)):
        if answered_at is None and status in ACCEPTED_STATES:
            overtaken.add(seq)
            if parts is None:
                unbilled.add(seq)
        elif any_stored and (status, answered_at) == (Status.ACCEPTED, at):
            unbilled.add(seq)
    _add_answers(session, run_id, [answer for answer in group if answer.seq in overtaken], at)
    return sum(answer.parts for answer in group if answer.seq in unbilled)


def _add_answers(session: Session, run_id: int, answers: Sequence[MessageResult], at: int) -> None:
    """Add answers' parts, provider refs and codes to messages that have their status from a receipt."""
    if not answers:
        return
    session.connection().execute(
        sa.update(Message)
        .where(Message.run_id == run_id, Message.seq == sa.bindparam("at_seq"), Message.answered_at.is_(None))
        .values(
            parts=sa.func.coalesce(Message.parts, sa.bindparam("its_parts")),
            provider_ref=sa.bindparam("its_ref"),
            # Keep the code of the receipt that changed the status; without one take the answer's.
            code=sa.func.coalesce(sa.case((Message.status != Status.ACCEPTED, Message.code)), sa.bindparam("its_code")),
            answered_at=at,
        ),
        [
            {"at_seq": a.seq, "its_parts": a.parts, "its_ref": a.provider_ref or None, "its_code": a.code or None}
            for a in answers
        ],
    )
