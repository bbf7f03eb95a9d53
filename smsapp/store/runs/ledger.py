"""The hot path's statements: claim a batch, write answers back. (`store/runs/freezing.py` makes what is claimed.)

Everything here is one statement per batch or per thousand rows, never per message. Each function changes rows and the
tallies that count them together; the caller's transaction makes that one step.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.ranges import joined
from smsapp.domain.run import CancelReason, RunState
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import add_up, as_array, as_json, changed, dialect
from smsapp.store.receipts import codes
from smsapp.store.runs import billed_parts
from smsapp.store.runs.runs import Batch, BatchState, Message, Run, Tally, channel_of

ROWS_AT_ONCE = 1000
"""Rows one UPDATE of SQLite takes, four parameters each; it allows 32,766."""
WORKER_LOST = "worker_lost"
"""Reason of messages whose worker never came back."""
KEPT_UNCONFIRMED = "left"
"""Reason of messages that a person decided to leave unconfirmed."""

Changes = Counter[tuple[str, str]]
"""(state, reason) -> how many people more or fewer."""


def tally_key(status: Status) -> str:
    """Return the tally's word for a status."""
    return status.name.lower()


def add_to_tallies(session: Session, run_id: int, changes: Mapping[tuple[str, str], int]) -> None:
    """Change a run's tallies; always in the same transaction as the rows they count."""
    # Sorted, so that two workers lock the rows in the same order.
    rows = [{"run_id": run_id, "state": s, "reason": r, "n": n} for (s, r), n in sorted(changes.items()) if n]
    add_up(session, Tally, rows)


# -- claiming ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch in one worker's hands: rows are (seq, phone, params) of its messages that are still to be sent."""

    run_id: int
    no: int
    claim: str
    rows: list[tuple[int, str, str | None]]


_READY = sa.exists().where(Batch.run_id == Run.id, Batch.state == BatchState.READY)
_RUN = (
    sa.select(Run.id)
    .where(
        Run.state == RunState.SENDING,
        Run.finished_at.is_(None),
        Run.id.in_(sa.bindparam("runs", expanding=True)),
        _READY,
    )
    .order_by(Run.id <= sa.bindparam("after_run"), Run.id)
    .limit(1)
    .scalar_subquery()
)
# In a CTE, which PostgreSQL evaluates once: a subquery that skips what is locked might find others each time.
_NEXT = (
    sa.select(Batch.run_id, Batch.no)
    .where(Batch.state == BatchState.READY, Batch.run_id == _RUN)
    .order_by(Batch.no)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
    .cte("next")
)
# Put together once: making a statement like these anew for every batch takes longer than running it.
_TAKE = (
    sa.update(Batch)
    .where(sa.tuple_(Batch.run_id, Batch.no).in_(sa.select(_NEXT.c.run_id, _NEXT.c.no)))
    .values(
        state=BatchState.CLAIMED,
        claim=sa.bindparam("by"),
        lease_until=sa.bindparam("until"),
        attempts=Batch.attempts + 1,
    )
    .returning(Batch.no, Batch.run_id, Batch.lo, Batch.hi, Batch.attempts)
)
_SHORTEN = (
    sa.update(Batch)
    .where(Batch.run_id == sa.bindparam("run"), Batch.no == sa.bindparam("at_no"))
    .values(hi=sa.bindparam("to_hi"))
)
_UNSENT = (
    sa.select(Message.seq, Message.phone, Message.params, sa.exists().where(OptOut.phone == Message.phone))
    .where(
        Message.run_id == sa.bindparam("run"),
        Message.seq.between(sa.bindparam("lo"), sa.bindparam("hi")),
        Message.status == Status.QUEUED,
    )
    .order_by(Message.seq)
)


def claim_batches(
    session: Session,
    run_ids: Sequence[int],
    after_run: int,
    claim: str,
    lease_until: dt.datetime,
    most: int = 1,
    sizes: Mapping[int, int] | None = None,
) -> list[ClaimedBatch]:
    """Hand out the next batches, `most` of them at most, of one of these runs that is sending, the runs taking turns.

    `sizes`: run -> the messages of a batch that are handed out at most; the rest of it becomes a batch of its own.
    Numbers that opted out since the freeze are cancelled here, in the transaction that claims.
    """
    taken = session.connection().execute(
        _TAKE,
        {
            "runs": list(run_ids),
            "after_run": after_run,
            "by": claim,
            "until": lease_until,
            "most": most,
        },
    ).all()  # fmt: skip
    changes: Changes = Counter()
    claimed = []
    for no, run_id, lo, hi, attempts in sorted(taken):
        size = sizes.get(run_id) if sizes else None
        end = min(hi, lo + size - 1) if size else hi
        if end < hi:
            _cut_off(session, run_id, no, end, hi, attempts - 1)
        claimed.append(ClaimedBatch(run_id, no, claim, _unsent(session, run_id, lo, end, attempts, changes)))
    if claimed:
        add_to_tallies(session, claimed[0].run_id, changes)
    return claimed


def _cut_off(session: Session, run_id: int, no: int, end: int, hi: int, attempts: int) -> None:
    """End a batch with the message `end`; those up to `hi` become a batch that is ready."""
    connection = session.connection()
    connection.execute(_SHORTEN, {"run": run_id, "at_no": no, "to_hi": end})
    rest = {"run_id": run_id, "no": end + 1, "lo": end + 1, "hi": hi, "attempts": attempts}
    connection.execute(sa.insert(Batch), {**rest, "state": int(BatchState.READY), "claim": ""})


def _unsent(
    session: Session, run_id: int, lo: int, hi: int, attempts: int, changes: Changes
) -> list[tuple[int, str, str | None]]:
    """Return what is still to be sent of a batch that was just claimed, and count it as handed."""
    # Queued again after a call: the odd one may be getting a receipt at this moment.
    messages = _UNSENT if attempts == 1 else _UNSENT.with_for_update(of=Message)
    found = session.connection().execute(messages, {"run": run_id, "lo": lo, "hi": hi}).all()
    rows = [(seq, phone, params) for seq, phone, params, out in found if not out]
    changes[tally_key(Status.QUEUED), ""] -= len(found)
    changes[tally_key(Status.IN_FLIGHT), ""] += len(rows)
    if len(rows) < len(found):
        gone = [seq for seq, _phone, _params, out in found if out]
        _set_where_queued(session, run_id, [(seq, Status.CANCELLED, CancelReason.OPTED_OUT) for seq in gone])
        changes[tally_key(Status.CANCELLED), CancelReason.OPTED_OUT] += len(gone)
    return rows


def _set_where_queued(session: Session, run_id: int, rows: Sequence[tuple[int, Status, str]]) -> None:
    session.connection().execute(
        sa.update(Message)
        .where(Message.run_id == run_id, Message.seq == sa.bindparam("at_seq"), Message.status == Status.QUEUED)
        .values(status=sa.bindparam("to_status"), reason=sa.bindparam("why")),
        [{"at_seq": seq, "to_status": int(status), "why": why} for seq, status, why in rows],
    )


def extend_leases(session: Session, claim: str, until: dt.datetime) -> None:
    """Say that the worker with this claim is alive."""
    changed(
        session,
        sa.update(Batch).where(Batch.state == BatchState.CLAIMED, Batch.claim == claim).values(lease_until=until),
    )


# -- writing back -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)  # not frozen: that makes a million of them cost a second more
class MessageResult:
    """What became of one message at once; status is ACCEPTED, REFUSED or UNCONFIRMED."""

    seq: int
    status: Status
    parts: int
    reason: str = ""
    code: str = ""
    provider_ref: str = ""


_LOCK_RUNS = (
    sa.select(Run.id).where(Run.id.in_(sa.bindparam("runs", expanding=True))).order_by(Run.id).with_for_update()
)
# PostgreSQL takes the thousand queued messages of a batch for one, as long as few others are queued, and would compare
# each of them with each of a thousand answers: a million times a batch.
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
    """A batch's answers, put in order before anybody has to wait for the transaction that stores them."""

    batch: ClaimedBatch
    answers: Sequence[MessageResult]
    groups: list[tuple[Status, str, list[MessageResult]]]
    """(status, reason, its answers in the order of their messages)"""
    unsent: list[int]
    """Messages that have not left."""
    under_way: bool
    """More answers are to come: the batch stays in the worker's hands."""


def prepare_results(
    batch: ClaimedBatch,
    answers: Sequence[MessageResult],
    written: Sequence[MessageResult] = (),
    *,
    under_way: bool = False,
) -> PreparedResults:
    """Return what there is to be written back: these answers; `written` are those that have been written before."""
    unsent: list[int] = []
    if not under_way:
        answered = {answer.seq for some in (answers, written) for answer in some}
        unsent = [seq for seq, _phone, _params in batch.rows if seq not in answered]
    # The many first, because hashing a Status once for each of them shows.
    accepted = [answer for answer in answers if answer.status is Status.ACCEPTED and not answer.reason]
    groups = {(Status.ACCEPTED, ""): accepted} if accepted else {}
    for answer in answers if len(accepted) < len(answers) else ():
        if answer.status is not Status.ACCEPTED or answer.reason:
            groups.setdefault((answer.status, answer.reason), []).append(answer)
    for group in groups.values():
        group.sort(key=attrgetter("seq"))
    in_order = [(*key, group) for key, group in sorted(groups.items(), key=itemgetter(0))]
    return PreparedResults(batch, answers, in_order, unsent, under_way)


def write_back(session: Session, some: Sequence[PreparedResults], at: int) -> bool:
    """Store batches' answers, their tallies and their states; messages without an answer are queued again.

    Returns False if a lease was lost meanwhile: the sweep has called the messages unconfirmed and closed the batch,
    and the answers settle them from there.
    """
    connection, some = session.connection(), sorted(some, key=lambda one: (one.batch.run_id, one.batch.no))
    changes: dict[int, Changes] = {one.batch.run_id: Counter() for one in some}
    billed: Counter[int] = Counter()
    # Runs, then messages, then tallies, as in sending.settle and where receipts are applied: two that wait for each
    # other in another order would deadlock.
    if dialect() == "postgresql":
        connection.execute(_LOCK_RUNS, {"runs": [*changes]})
        connection.execute(_JOIN_AS_SETS)
    owned = [_store_batch(session, one, at, changes[one.batch.run_id], billed) for one in some]
    if dialect() == "postgresql":
        connection.execute(_JOIN_FREELY)
    for run_id, its_changes in changes.items():
        add_to_tallies(session, run_id, its_changes)
        billed_parts.add(session, run_id, billed[run_id])
    unknown = [(one.batch.run_id, a.code) for one in some for a in one.answers if a.reason == Outcome.UNKNOWN]
    if unknown:
        owners = channel_of(session, changes)
        counted = [(owners[run_id], code) for run_id, code in unknown]
        codes.count(session, counted, dt.datetime.fromtimestamp(at, dt.UTC))
    return all(owned)


def _store_batch(session: Session, gathered: PreparedResults, at: int, changes: Changes, billed: Counter[int]) -> bool:
    """Store one batch's answers and its state, and count what that changes; False if its lease was lost."""
    batch, unsent = gathered.batch, gathered.unsent
    key = {"run": batch.run_id, "at_no": batch.no, "by": batch.claim}
    if gathered.under_way:
        owned = session.connection().execute(_IS_OWNED, key).first() is not None
    else:
        ends = int(BatchState.READY if unsent else BatchState.DONE)
        owned = session.connection().execute(_RELEASE, key | {"to_state": ends}).rowcount == 1
    queued = _lock(session, batch) if unsent or len(gathered.groups) > 1 else set[int]()
    # Where this worker left them: a lost batch's messages are unconfirmed, and somebody may have left them so.
    origins = (
        [(Status.QUEUED, "")] if owned else [(Status.UNCONFIRMED, WORKER_LOST), (Status.UNCONFIRMED, KEPT_UNCONFIRMED)]
    )
    counted_as = tally_key(Status.IN_FLIGHT if owned else Status.UNCONFIRMED)
    for status, reason, group in gathered.groups:
        moved = 0
        for begins, why in origins:
            stored = _store_answers(session, batch.run_id, begins, why, group, at)
            changes[counted_as, why] -= stored
            moved += stored
        changes[tally_key(status), reason] += moved
        if moved < len(group):
            billed[batch.run_id] += _complete_overtaken(session, batch.run_id, group, at, some_moved=moved > 0)
        elif status is Status.ACCEPTED:
            billed[batch.run_id] += sum(answer.parts for answer in group)
    if owned and unsent:
        still = len(queued.intersection(unsent))
        changes[tally_key(Status.IN_FLIGHT), ""] -= still
        changes[tally_key(Status.QUEUED), ""] += still
    return owned


def _lock(session: Session, batch: ClaimedBatch) -> set[int]:
    """Lock a batch's messages by number, as receipts do: groups alone are in order, one after another is not.

    Returns those that are queued; an unmatched receipt receipt may have moved one on.
    """
    between = Message.seq.between(batch.rows[0][0], batch.rows[-1][0])
    chosen = sa.select(Message.seq, Message.status).where(Message.run_id == batch.run_id, between)
    rows = session.connection().execute(chosen.order_by(Message.seq).with_for_update())
    return {seq for seq, status in rows if status == Status.QUEUED}


def _store_answers(
    session: Session, run_id: int, begins: Status, why: str, group: Sequence[MessageResult], at: int
) -> int:
    """Move these messages if they are still where the worker left them; return how many were.

    Driver SQL: SQLAlchemy's own executemany costs twice as much here, and on PostgreSQL lists are faster still, each
    handed over as one text. Their rows are looked for between the first and the last only, because PostgreSQL knows
    nothing about a run that was frozen a moment ago: it once read a whole million for each thousand. On SQLite one
    statement for all rows, because the driver lets other threads run while a statement does, and waits for its turn
    after each: with executemany the sender's two threads stood in each other's way a thousand times a batch.
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
    moved = 0
    for begin in range(0, len(group), ROWS_AT_ONCE):
        some = group[begin : begin + ROWS_AT_ONCE]
        given = [value for a in some for value in (a.seq, a.parts, a.code or None, a.provider_ref or None)]
        moved += cursor.exec_driver_sql(
            "UPDATE message SET status = ?, reason = ?, answered_at = ?, parts = v.column2, code = v.column3,"  # noqa: S608
            f" provider_ref = v.column4 FROM (VALUES {', '.join(['(?, ?, ?, ?)'] * len(some))}) v"
            " WHERE message.run_id = ? AND message.seq = v.column1 AND message.status = ?"
            " AND coalesce(message.reason, '') = ?",
            (status, reason, at, *given, run_id, int(begins), why),
        ).rowcount
    return moved


def _complete_overtaken(
    session: Session, run_id: int, group: Sequence[MessageResult], at: int, *, some_moved: bool
) -> int:
    """Add what the answer knew to messages whose receipt was quicker; return the parts of all it is about now.

    A write-back that is repeated because its commit was not heard of counts none a second time.
    """
    # All between the first and the last, as in _store_answers: for a list of numbers the whole run was read.
    between = Message.seq.between(group[0].seq, group[-1].seq)
    stands = sa.select(Message.seq, Message.status, Message.answered_at, Message.parts)
    rows = session.connection().execute(stands.where(Message.run_id == run_id, between)).all()
    late = {seq for seq, status, answered, _parts in rows if answered is None and status in ACCEPTED_STATES}
    # What services/receipts/billing.py has counted already is not billed again.
    unbilled = {seq for seq, _status, _answered, parts in rows if seq in late and parts is None}
    took: Collection[int] = ()
    if some_moved:
        took = {seq for seq, status, answered, _parts in rows if (status, answered) == (Status.ACCEPTED, at)}
    overtaken = [a for a in group if a.seq in late]
    if overtaken:
        session.connection().execute(
            sa.update(Message)
            .where(Message.run_id == run_id, Message.seq == sa.bindparam("at_seq"), Message.answered_at.is_(None))
            .values(
                parts=sa.func.coalesce(Message.parts, sa.bindparam("its_parts")),
                provider_ref=sa.bindparam("its_ref"),
                # The code that stays is the last one that changed something, and the answer's where none did.
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
    return sum(a.parts for a in group if a.seq in unbilled or a.seq in took)


def is_ready(session: Session, run_ids: Sequence[int]) -> bool:
    """Say whether any of these runs is being sent and has a batch to claim."""
    waiting = sa.exists().where(
        Run.id.in_(run_ids), Run.state == RunState.SENDING, Run.id == Batch.run_id, Batch.state == BatchState.READY
    )
    return bool(session.scalar(sa.select(waiting)))


def is_much_left(session: Session, run_id: int, batches: int) -> bool:
    """Say whether more than so many of a run's batches wait to be claimed."""
    ready = sa.select(Batch.no).where(Batch.run_id == run_id, Batch.state == BatchState.READY)
    return session.execute(ready.offset(batches).limit(1)).first() is not None


_MAY_BE_OVER = sa.select(Run.id).where(
    Run.id == sa.bindparam("run"),
    sa.or_(
        Run.state == RunState.ENDING,
        ~sa.exists().where(Batch.run_id == Run.id, Batch.state.in_([BatchState.READY, BatchState.CLAIMED])),
    ),
)


def may_be_over(session: Session, run_id: int) -> bool:
    """Say whether it is worth asking if this run is over: cheap, because it is asked after every batch."""
    return session.connection().execute(_MAY_BE_OVER, {"run": run_id}).first() is not None


def is_over(session: Session, run_id: int) -> bool:
    """Say whether no batch of this run has work left."""
    left = Batch.state.in_([BatchState.READY, BatchState.CLAIMED])
    return not session.scalar(sa.select(sa.exists().where(Batch.run_id == run_id, left)))


def cancel_rest(session: Session, run_id: int, why: CancelReason) -> int:
    """Cancel everything of a run that nobody has claimed; return how many messages. What is in flight stays."""
    ready = session.execute(
        sa.update(Batch)
        .where(Batch.run_id == run_id, Batch.state == BatchState.READY)
        .values(state=BatchState.DONE)
        .returning(Batch.lo, Batch.hi),
        execution_options={"synchronize_session": False},
    ).all()
    return _close_queued(session, run_id, ready, Status.CANCELLED, why, Status.QUEUED)


def expire_leases(session: Session, now: dt.datetime) -> dict[int, list[tuple[int, int]]]:
    """Call unconfirmed what a silent worker had claimed; return run -> the messages (first, last) of such batches.

    They may or may not have left: they are never sent again by themselves. The runs are locked.
    """
    silent = (Batch.state == BatchState.CLAIMED, Batch.lease_until < now)
    run_ids = session.scalars(sa.select(Batch.run_id).where(*silent).distinct()).all()
    if not run_ids:
        return {}
    session.connection().execute(_LOCK_RUNS, {"runs": [*run_ids]})
    lost = session.execute(
        sa.update(Batch)
        .where(*silent, Batch.run_id.in_(run_ids))
        .values(state=BatchState.DONE, claim="", lease_until=None)
        .returning(Batch.run_id, Batch.lo, Batch.hi),
        execution_options={"synchronize_session": False},
    ).all()
    runs: dict[int, list[tuple[int, int]]] = {}
    for run_id, lo, hi in sorted((run_id, lo, hi) for run_id, lo, hi in lost):
        runs.setdefault(run_id, []).append((lo, hi))
    for run_id, ranges in runs.items():
        _close_queued(session, run_id, ranges, Status.UNCONFIRMED, WORKER_LOST, Status.IN_FLIGHT)
    return {run_id: joined(ranges) for run_id, ranges in runs.items()}


def _close_queued(
    session: Session, run_id: int, ranges: Sequence[Any], status: Status, why: str, counted_as: Status
) -> int:
    moved = 0
    for lo, hi in joined(ranges):
        moved += changed(
            session,
            sa.update(Message)
            .where(Message.run_id == run_id, Message.seq.between(lo, hi), Message.status == Status.QUEUED)
            .values(status=int(status), reason=why),
        )
    add_to_tallies(session, run_id, {(tally_key(counted_as), ""): -moved, (tally_key(status), why): moved})
    return moved
