"""Batches on their way through workers: claimed, kept by leases, expired, and at the end of a run.

Each function is one statement per batch or per thousand rows, never per message, and changes rows together with the
tallies that count them; the caller's transaction makes both one step. `store/runs/freezing.py` makes the batches.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.ranges import joined, overlaps
from smsapp.domain.run import CancelReason, RunState
from smsapp.store import journal
from smsapp.store.contacts.consents import consented
from smsapp.store.contacts.replies import refuses
from smsapp.store.db import Json, changed
from smsapp.store.runs.runs import Batch, BatchState, Message, Run, lock_runs
from smsapp.store.runs.tallies import Changes, add_to_tallies, tally_key

WORKER_LOST = "worker_lost"
"""Reason of messages whose worker let its lease expire."""
RESTORED = "restored"
"""Reason of messages that were claimed after this copy of the database was made."""


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that a worker has claimed; `rows` are (seq, phone, params) of its messages still to be sent."""

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
# In a CTE, which PostgreSQL evaluates once: a subquery with SKIP LOCKED might return other rows each time.
_NEXT = (
    sa.select(Batch.run_id, Batch.no)
    .where(Batch.state == BatchState.READY, Batch.run_id == _RUN)
    .order_by(Batch.no)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
    .cte("next")
)
# Built once: building such a statement for every batch takes longer than running it.
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
# Read once per batch, not per message.
_MARKETING = sa.select(Run.marketing).where(Run.id == sa.bindparam("run")).scalar_subquery()
_SIGNATURE = (
    sa.select(sa.type_coerce(Run.snapshot, Json)["signature"].as_string())
    .where(Run.id == sa.bindparam("run"))
    .scalar_subquery()
)
_CONSENTED_ONLY = sa.select(Run.consented_only).where(Run.id == sa.bindparam("run")).scalar_subquery()
_LACKS_CONSENT = sa.and_(_CONSENTED_ONLY, sa.not_(consented(Message.contact_id, Message.phone, _MARKETING, _SIGNATURE)))
_UNWANTED = sa.case(
    (refuses(Message.phone, _MARKETING, _SIGNATURE), str(CancelReason.OPTED_OUT)),
    (_LACKS_CONSENT, str(CancelReason.NO_CONSENT)),
)
_UNSENT = (
    sa.select(Message.seq, Message.phone, Message.params, _UNWANTED)
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
    most: int,
    sizes: Mapping[int, int],
) -> list[ClaimedBatch]:
    """Claim up to `most` next batches of one of these runs that is sending: the next after `after_run`, in turn.

    `sizes`: run -> the most messages of a claimed batch; the rest of the batch becomes a new batch. Messages to numbers
    that refused such a text since the freeze, or withdrew the consent it needs, are cancelled in this transaction.
    """
    rows = session.connection().execute(
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
    for no, run_id, lo, hi, attempts in sorted(rows):
        size = sizes.get(run_id)
        end = min(hi, lo + size - 1) if size else hi
        if end < hi:
            _split_batch(session, run_id, no, end, hi, attempts - 1)
        claimed.append(ClaimedBatch(run_id, no, claim, _unsent(session, run_id, lo, end, attempts, changes)))
        journal.note(session, journal.CLAIM, run_id, lo, end)
    if claimed:
        add_to_tallies(session, claimed[0].run_id, changes)
    return claimed


def _split_batch(session: Session, run_id: int, no: int, end: int, hi: int, attempts: int) -> None:
    """Shorten a batch to end with message `end`; the messages up to `hi` become a new batch that is ready."""
    connection = session.connection()
    connection.execute(_SHORTEN, {"run": run_id, "at_no": no, "to_hi": end})
    row = {"run_id": run_id, "no": end + 1, "lo": end + 1, "hi": hi, "attempts": attempts}
    connection.execute(sa.insert(Batch), {**row, "state": int(BatchState.READY), "claim": ""})


def _unsent(
    session: Session, run_id: int, lo: int, hi: int, attempts: int, changes: Changes
) -> list[tuple[int, str, str | None]]:
    """Return the rows still to be sent of a batch that was just claimed, and count them as in flight."""
    # In a batch that was queued again after a call, a message may be getting a receipt at this moment.
    messages = _UNSENT if attempts == 1 else _UNSENT.with_for_update(of=Message)
    queued = session.connection().execute(messages, {"run": run_id, "lo": lo, "hi": hi}).all()
    rows = [(seq, phone, params) for seq, phone, params, unwanted in queued if unwanted is None]
    changes[tally_key(Status.QUEUED), ""] -= len(queued)
    changes[tally_key(Status.IN_FLIGHT), ""] += len(rows)
    if len(rows) < len(queued):
        cancelled = [(seq, Status.CANCELLED, unwanted) for seq, _phone, _params, unwanted in queued if unwanted]
        _set_where_queued(session, run_id, cancelled)
        for _seq, _status, unwanted in cancelled:
            changes[tally_key(Status.CANCELLED), unwanted] += 1
    return rows


def _set_where_queued(session: Session, run_id: int, rows: Sequence[tuple[int, Status, str]]) -> None:
    session.connection().execute(
        sa.update(Message)
        .where(Message.run_id == run_id, Message.seq == sa.bindparam("at_seq"), Message.status == Status.QUEUED)
        .values(status=sa.bindparam("to_status"), reason=sa.bindparam("why")),
        [{"at_seq": seq, "to_status": int(status), "why": why} for seq, status, why in rows],
    )


def extend_leases(session: Session, claim: str, until: dt.datetime) -> None:
    """Extend the leases of all batches with this claim to `until`."""
    changed(
        session,
        sa.update(Batch).where(Batch.state == BatchState.CLAIMED, Batch.claim == claim).values(lease_until=until),
    )


def is_ready(session: Session, run_ids: Sequence[int]) -> bool:
    """Return whether any of these runs is being sent and has a batch to claim."""
    condition = sa.exists().where(
        Run.id.in_(run_ids), Run.state == RunState.SENDING, Run.id == Batch.run_id, Batch.state == BatchState.READY
    )
    return bool(session.scalar(sa.select(condition)))


def is_much_left(session: Session, run_id: int, batches: int) -> bool:
    """Return whether more than `batches` batches of a run wait to be claimed."""
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
    """Return whether this run may be over; a cheap check after every batch, before the full one."""
    return session.connection().execute(_MAY_BE_OVER, {"run": run_id}).first() is not None


def last_seq(session: Session, run_id: int) -> int:
    """Return the highest seq in the batches of a run; 0 if it has none."""
    return session.scalar(sa.select(Batch.hi).where(Batch.run_id == run_id).order_by(Batch.no.desc()).limit(1)) or 0


def is_over(session: Session, run_id: int) -> bool:
    """Return whether no batch of this run is ready or claimed."""
    unfinished = Batch.state.in_([BatchState.READY, BatchState.CLAIMED])
    return not session.scalar(sa.select(sa.exists().where(Batch.run_id == run_id, unfinished)))


def cancel_rest(session: Session, run_id: int, why: CancelReason) -> int:
    """Cancel the messages of a run's unclaimed batches; return how many. Messages in flight are not changed."""
    return _close_ready(session, run_id, Status.CANCELLED, why)


def expire_rest(session: Session, run_id: int) -> int:
    """Let the messages of a run's unclaimed batches expire; return how many. Messages in flight are not changed."""
    return _close_ready(session, run_id, Status.EXPIRED, "")


def _close_ready(session: Session, run_id: int, status: Status, why: str) -> int:
    ready = session.execute(
        sa.update(Batch)
        .where(Batch.run_id == run_id, Batch.state == BatchState.READY)
        .values(state=BatchState.DONE)
        .returning(Batch.lo, Batch.hi),
        execution_options={"synchronize_session": False},
    ).all()
    return _close_queued(session, run_id, ready, status, why, Status.QUEUED)


def expire_leases(session: Session, now: dt.datetime) -> dict[int, list[tuple[int, int]]]:
    """Set messages of batches with an expired lease to UNCONFIRMED; return run -> ranges (first, last) of their seqs.

    The messages may have left, so they are never sent again automatically. The runs are locked.
    """
    expired = (Batch.state == BatchState.CLAIMED, Batch.lease_until < now)
    run_ids = session.scalars(sa.select(Batch.run_id).where(*expired).distinct()).all()
    if not run_ids:
        return {}
    lock_runs(session, run_ids)
    lost = session.execute(
        sa.update(Batch)
        .where(*expired, Batch.run_id.in_(run_ids))
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


def unconfirm_queued(session: Session, run_id: int, ranges: Sequence[tuple[int, int]] | None = None) -> int:
    """Make queued messages that nobody has claimed unconfirmed, within these ranges of seqs or all; return how many."""
    ready = session.execute(
        sa.select(Batch.lo, Batch.hi)
        .where(Batch.run_id == run_id, Batch.state == BatchState.READY)
        .order_by(Batch.lo)
        .with_for_update()
    )
    unclaimed = [(lo, hi) for lo, hi in ready]
    if ranges is not None:
        unclaimed = overlaps(joined(unclaimed), joined(ranges))
    return _close_queued(session, run_id, unclaimed, Status.UNCONFIRMED, RESTORED, Status.QUEUED)


def _close_queued(
    session: Session, run_id: int, ranges: Sequence[Any], status: Status, why: str, counted_as: Status
) -> int:
    updated = 0
    for lo, hi in joined(ranges):
        updated += changed(
            session,
            sa.update(Message)
            .where(Message.run_id == run_id, Message.seq.between(lo, hi), Message.status == Status.QUEUED)
            .values(status=int(status), reason=why),
        )
    add_to_tallies(session, run_id, {(tally_key(counted_as), ""): -updated, (tally_key(status), why): updated})
    return updated
