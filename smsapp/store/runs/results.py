"""The results of calls, written back: messages get their answers, batches their end, runs their tallies.

RESULTTABLE
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import Outcome
from smsapp.store.db import as_array, as_json, dialect
from smsapp.store.receipts import codes
from smsapp.store.receipts.unconfirmed import KEPT_UNCONFIRMED
from smsapp.store.runs import billed_parts
from smsapp.store.runs.claims import WORKER_LOST, ClaimedBatch
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
_JOIN_AS_SETS, _JOIN_FREELY = (sa.text(f"SET LOCAL enable_nestloop = {state}") for state in ("off", "on"))
_OWNED = (
    Batch.run_id == sa.bindparam("run"),
    Batch.no == sa.bindparam("at_no"),
    Batch.state == BatchState.CLAIMED,
    Batch.claim == sa.bindparam("by"),
)
_IS_OWNED = sa.select(Batch.no).where(*_OWNED).with_for_update()
_RELEASE = sa.update(Batch).where(*_OWNED).values(state=sa.bindparam("to_state"), claim="", lease_until=None)


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

    Returns False if a lease was lost meanwhile: the sweep has set the messages to UNCONFIRMED and closed the batch, and
    the answers then change them from that state.
    """
    connection = session.connection()
    batches = sorted(batches, key=lambda gathered: (gathered.batch.run_id, gathered.batch.no))
    changes: dict[int, Changes] = {gathered.batch.run_id: Counter() for gathered in batches}
    billed: Counter[int] = Counter()
    # Locks runs, then messages, then tallies, as sending.settle and the applying of receipts do: another order could
    # deadlock.
    if dialect() == "postgresql":
        lock_runs(session, changes)
        connection.execute(_JOIN_AS_SETS)
    owned = [_store_batch(session, gathered, at, changes[gathered.batch.run_id], billed) for gathered in batches]
    if dialect() == "postgresql":
        connection.execute(_JOIN_FREELY)
    for run_id, its_changes in changes.items():
        add_to_tallies(session, run_id, its_changes)
        billed_parts.add(session, run_id, billed[run_id])
    unknown = [
        (gathered.batch.run_id, a.code) for gathered in batches for a in gathered.answers if a.reason == Outcome.UNKNOWN
    ]
    if unknown:
        owners = channel_of(session, changes)
        channel_codes = [(owners[run_id], code) for run_id, code in unknown]
        codes.count(session, channel_codes, dt.datetime.fromtimestamp(at, dt.UTC))
    return all(owned)


def _store_batch(session: Session, gathered: PreparedResults, at: int, changes: Changes, billed: Counter[int]) -> bool:
    """Store one batch's answers and its state; add to `changes` and `billed`; return False if its lease was lost."""
    batch, unsent = gathered.batch, gathered.unsent
    key = {"run": batch.run_id, "at_no": batch.no, "by": batch.claim}
    if gathered.under_way:
        owned = session.connection().execute(_IS_OWNED, key).first() is not None
    else:
        ends = int(BatchState.READY if unsent else BatchState.DONE)
        owned = session.connection().execute(_RELEASE, key | {"to_state": ends}).rowcount == 1
    queued = _lock(session, batch) if unsent or len(gathered.groups) > 1 else set[int]()
    # (status, reason) the messages have now: those of a lost batch are unconfirmed, maybe by a person's decision.
    origins = (
        [(Status.QUEUED, "")] if owned else [(Status.UNCONFIRMED, WORKER_LOST), (Status.UNCONFIRMED, KEPT_UNCONFIRMED)]
    )
    counted_as = tally_key(Status.IN_FLIGHT if owned else Status.UNCONFIRMED)
    for status, reason, group in gathered.groups:
        updated = 0
        for begins, why in origins:
            stored = _store_answers(session, batch.run_id, begins, why, group, at)
            changes[counted_as, why] -= stored
            updated += stored
        changes[tally_key(status), reason] += updated
        if updated < len(group):
            billed[batch.run_id] += _complete_overtaken(session, batch.run_id, group, at, any_stored=updated > 0)
        elif status is Status.ACCEPTED:
            billed[batch.run_id] += sum(answer.parts for answer in group)
    if owned and unsent:
        still_queued = len(queued.intersection(unsent))
        changes[tally_key(Status.IN_FLIGHT), ""] -= still_queued
        changes[tally_key(Status.QUEUED), ""] += still_queued
    return owned


def _lock(session: Session, batch: ClaimedBatch) -> set[int]:
    """Lock a batch's messages in the order of seq, as receipts do: locking group after group is in another order.

    Returns the seqs that are queued; a receipt that came early may have changed the others.
    """
    between = Message.seq.between(batch.rows[0][0], batch.rows[-1][0])
    query = sa.select(Message.seq, Message.status).where(Message.run_id == batch.run_id, between)
    rows = session.connection().execute(query.order_by(Message.seq).with_for_update())
    return {seq for seq, status in rows if status == Status.QUEUED}


def _store_answers(
    session: Session, run_id: int, begins: Status, why: str, group: Sequence[MessageResult], at: int
) -> int:
    """Store the answers of those messages that still have status `begins` and reason `why`; return how many.

    Driver SQL, because SQLAlchemy's executemany is slower here. On PostgreSQL each list is one
    text parameter, and rows are searched between the first and the last seq only: the statistics do not know a run that
    was just frozen, and PostgreSQL would read the whole run for each batch. On SQLite all rows go in one statement,
    because the driver releases the GIL for every statement and executemany would make the sender's two threads wait for
    each other a thousand times a batch.
    """
    cursor, status, reason = session.connection(), int(group[0].status), group[0].reason or None
    if dialect() == "postgresql":
        return cursor.exec_driver_sql(
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
                int(begins),
                why,
            ),
        ).rowcount
    updated = 0
    for begin in range(0, len(group), ROWS_AT_ONCE):
        chunk = group[begin : begin + ROWS_AT_ONCE]
        parameters = [value for a in chunk for value in (a.seq, a.parts, a.code or None, a.provider_ref or None)]
        updated += cursor.exec_driver_sql(
            "UPDATE message SET status = ?, reason = ?, answered_at = ?, parts = v.column2, code = v.column3,"  # noqa: S608
            f" provider_ref = v.column4 FROM (VALUES {', '.join(['(?, ?, ?, ?)'] * len(chunk))}) v"
            " WHERE message.run_id = ? AND message.seq = v.column1 AND message.status = ?"
            " AND coalesce(message.reason, '') = ?",
            (status, reason, at, *parameters, run_id, int(begins), why),
        ).rowcount
    return updated


def _complete_overtaken(
    session: Session, run_id: int, group: Sequence[MessageResult], at: int, *, any_stored: bool
) -> int:
    """Add the answers' parts, ids and codes to messages whose receipt came first; return the parts to bill now.

    A write-back that is repeated, because its commit was not confirmed, bills no message a second time.
    """
    # All between the first and the last, as in _store_answers: a list of seqs made PostgreSQL read the whole run.
    between = Message.seq.between(group[0].seq, group[-1].seq)
    query = sa.select(Message.seq, Message.status, Message.answered_at, Message.parts)
    rows = session.connection().execute(query.where(Message.run_id == run_id, between)).all()
    late = {seq for seq, status, answered_at, _parts in rows if answered_at is None and status in ACCEPTED_STATES}
    # Messages with parts were billed by services/receipts/billing.py already.
    unbilled = {seq for seq, _status, _answered, parts in rows if seq in late and parts is None}
    just_stored: Collection[int] = ()
    if any_stored:
        just_stored = {
            seq for seq, status, answered_at, _parts in rows if (status, answered_at) == (Status.ACCEPTED, at)
        }
    overtaken = [a for a in group if a.seq in late]
    if overtaken:
        session.connection().execute(
            sa.update(Message)
            .where(Message.run_id == run_id, Message.seq == sa.bindparam("at_seq"), Message.answered_at.is_(None))
            .values(
                parts=sa.func.coalesce(Message.parts, sa.bindparam("its_parts")),
                provider_ref=sa.bindparam("its_ref"),
                # Keep the code of the receipt that changed the status; without one take the answer's.
                code=sa.func.coalesce(
                    sa.case((Message.status != Status.ACCEPTED, Message.code)), sa.bindparam("its_code")
                ),
                answered_at=at,
            ),
            [
                {"at_seq": a.seq, "its_parts": a.parts, "its_ref": a.provider_ref or None, "its_code": a.code or None}
                for a in overtaken
            ],
        )
    return sum(a.parts for a in group if a.seq in unbilled or a.seq in just_stored)
