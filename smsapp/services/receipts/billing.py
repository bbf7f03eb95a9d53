"""Billed parts of messages that were decided without an answer: by a receipt, a status query, or a person.

The write-back of an answer stores a message's parts. Without an answer they are computed from the run's snapshot, so
that every accepted message has parts, and a run's parts are the sum of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from smsapp.domain.billed_parts import parts_of_all
from smsapp.domain.message import ACCEPTED_STATES
from smsapp.domain.phone import is_domestic
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.contacts.audience import filled_all
from smsapp.store.db import Condition, one_of
from smsapp.store.runs import billed_parts, runs
from smsapp.store.runs.runs import Message


def parts_of(snapshot: RunSnapshot, rows: Sequence[tuple[str, str | None]]) -> list[int]:
    """Return the billed parts of messages (phone, params) of a run with this snapshot, in order."""
    render = snapshot.template.renderer()
    all_values = filled_all(snapshot.variables, snapshot.mapping, [params for _phone, params in rows])
    return parts_of_all([render(values) for values in all_values], [is_domestic(phone) for phone, _params in rows])


def fill(session: Session, run_id: int, *which: Condition) -> int:
    """Store the parts of a run's messages that have none; return the sum of those the channel has accepted."""
    snapshot = runs.snapshot_of(session, run_id)
    accepted, after = 0, 0
    while rows := billed_parts.lacking(session, run_id, after, *which):
        billed = parts_of(snapshot, [(phone, params) for _seq, _status, phone, params in rows])
        seqs: dict[int, list[int]] = {}
        for (seq, status, _phone, _params), n in zip(rows, billed, strict=True):
            seqs.setdefault(n, []).append(seq)
            accepted += n if status in ACCEPTED_STATES else 0
        billed_parts.store(session, run_id, seqs)
        after = rows[-1][0]
    return accepted


def bill(session: Session, run_id: int, *which: Condition) -> None:
    """Store the parts of a run's accepted messages that have none, and add them to the run's parts."""
    billed_parts.add(session, run_id, fill(session, run_id, Message.status.in_(sorted(ACCEPTED_STATES)), *which))


def bill_messages(session: Session, run_id: int, seqs: Iterable[int]) -> None:
    """As `bill`, for the messages with these seqs."""
    bill(session, run_id, one_of(Message.seq, sorted(seqs)))


def after_lost_batches(session: Session, run_id: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Store the parts of the messages (first, last) of lost batches, and add those of accepted ones to the run's."""
    for first, last in ranges:
        billed_parts.add(session, run_id, fill(session, run_id, Message.seq.between(first, last)))
