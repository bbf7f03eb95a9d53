"""Gives the messages of a frozen run invented outcomes, for the demo: by their seq alone, set by set."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.store.receipts.state_changes import BUCKET_SECONDS
from smsapp.store.runs import tallies
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Batch, BatchState, Message, Run
from smsapp.store.runs.tallies import EXCLUDED, Tally

Fates = tuple[tuple[int, Status, str | None], ...]
"""(share in thousandths, status, outcome); the remaining messages were delivered."""
PER_SECOND = 200
"""Messages sent per second."""
LAST_RECEIPT = 5400
"""Seconds from the answer to the latest receipt."""


def finish(session: Session, run_id: int, fates: Fates, parts: int, begun: int) -> None:
    """Give every message of the run its final state; sending began at `begun` (Unix seconds)."""
    _answer(session, run_id, fates, parts, begun)
    session.execute(sa.update(Batch).where(Batch.run_id == run_id).values(state=BatchState.DONE, attempts=1))
    _count(session, run_id)
    _chart(session, run_id)


def some_phones(session: Session, run_id: int, every: int, offset: int) -> Sequence[str]:
    """Return the numbers of every `every`-th message of the run, beginning with the seq `offset`."""
    query = sa.select(Message.phone).where(Message.run_id == run_id, Message.seq % every == offset)
    return session.scalars(query.order_by(Message.seq)).all()


def _answer(session: Session, run_id: int, fates: Fates, parts: int, begun: int) -> None:
    """Give every message of the run its status by its seq alone: repeatable, without a visible pattern."""
    lot = (Message.seq * Message.seq % 1009 * (17 + run_id) + Message.seq * 7919 + run_id * 104729) % 1000
    whens, reasons, above = [], [], 0
    for share, status, reason in fates:
        above += share
        whens.append((lot < above, sa.literal(int(status))))
        reasons.append((lot < above, sa.literal(str(reason)) if reason else sa.null()))
    answered = begun + (Message.seq - Message.seq % PER_SECOND) / PER_SECOND
    session.execute(
        sa.update(Message)
        .where(Message.run_id == run_id)
        .values(
            status=sa.case(*whens, else_=int(Status.DELIVERED)),
            reason=sa.case(*reasons, else_=None),
            answered_at=sa.cast(answered, sa.BigInteger),
        )
    )
    accepted = Message.status.in_([int(status) for status in ACCEPTED_STATES])
    has_receipt = Message.status.in_([int(Status.DELIVERED), int(Status.UNDELIVERED)])
    # Most receipts come within minutes, the last ones much later: the square of a uniform number.
    wait = (Message.seq * 6133 + run_id * 7) % 1000
    late = wait * wait // 1000 * LAST_RECEIPT // 1000 + 2
    session.execute(sa.update(Message).where(Message.run_id == run_id, accepted).values(parts=parts))
    session.execute(
        sa.update(Message).where(Message.run_id == run_id, has_receipt).values(receipt_at=Message.answered_at + late)
    )
    refused = sa.and_(Message.run_id == run_id, Message.reason.is_not(None))
    session.execute(sa.update(Message).where(refused).values(code="SIM-" + sa.func.upper(Message.reason)))
    billed = sa.select(sa.func.coalesce(sa.func.sum(Message.parts), 0)).where(Message.run_id == run_id)
    session.execute(sa.update(Run).where(Run.id == run_id).values(parts=billed.scalar_subquery()))


def _count(session: Session, run_id: int) -> None:
    """Make the tallies anew from the messages; the exclusions are counted already."""
    session.execute(sa.delete(Tally).where(Tally.run_id == run_id, Tally.state != EXCLUDED))
    rows = session.execute(
        sa.select(Message.status, Message.reason, sa.func.count())
        .where(Message.run_id == run_id)
        .group_by(Message.status, Message.reason)
    ).all()
    tallies.add_to_tallies(
        session, run_id, {(tallies.tally_key(Status(status)), reason or ""): n for status, reason, n in rows}
    )


def _chart(session: Session, run_id: int) -> None:
    bucket = (Message.receipt_at - Message.receipt_at % BUCKET_SECONDS).label("bucket")
    counts = session.execute(
        sa.select(bucket, Message.status, sa.func.count())
        .where(Message.run_id == run_id, Message.receipt_at.is_not(None))
        .group_by(bucket, Message.status)
    ).all()
    rows = [
        {"run_id": run_id, "bucket": at, "state": tallies.tally_key(Status(status)), "n": n} for at, status, n in counts
    ]
    if rows:
        session.execute(sa.insert(ReceiptBucket), rows)
