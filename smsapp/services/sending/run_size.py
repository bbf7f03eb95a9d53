"""The size of a run that has just been frozen: exactly how many billed parts it has, and what they cost."""

from __future__ import annotations

from sqlalchemy.orm import Session

from smsapp.domain.approval import Estimate
from smsapp.domain.cost import cost_of
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.receipts import billing
from smsapp.store.runs import billed_parts


def parts_of_run(session: Session, run_id: int, snapshot: RunSnapshot, after: int = 0) -> int:
    """Return the billed parts of all messages of a run with this snapshot behind seq `after` that have none yet."""
    total = 0
    while rows := billed_parts.lacking(session, run_id, after):
        total += sum(billing.parts_of(snapshot, [(phone, params) for _seq, _status, phone, params in rows]))
        after = rows[-1][0]
    return total


def size_of(session: Session, run_id: int, snapshot: RunSnapshot, planned: int, after: int = 0) -> Estimate:
    """Return what the run, or its `planned` messages behind seq `after`, will be if all of it is sent."""
    cost = cost_of(parts_of_run(session, run_id, snapshot, after), snapshot.price, snapshot.currency)
    return Estimate(planned, cost.parts, cost.amount, cost.currency)
