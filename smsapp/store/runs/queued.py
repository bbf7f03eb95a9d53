"""What is not over yet: messages that a channel still has to send, and runs by their state."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally, tally_key


def by_run(session: Session, channel_id: int, but: int) -> dict[int, int]:
    """Return {run: messages that are not sent yet} of a channel's runs that go on by themselves, except those of
    campaign `but`."""
    goes_on = sa.or_(Run.state == RunState.SENDING, sa.and_(Run.state == RunState.HELD, Run.hold_until.is_not(None)))
    query = (
        sa.select(Run.id, sa.func.sum(Tally.n))
        .join(Tally, sa.and_(Tally.run_id == Run.id, Tally.state == tally_key(Status.QUEUED)))
        .where(Run.finished_at.is_(None), Run.channel_id == channel_id, Run.campaign_id != but, goes_on)
        .group_by(Run.id)
    )
    return {run_id: int(n) for run_id, n in session.execute(query)}


def unfinished_counts(session: Session) -> tuple[Counter[str], Counter[str]]:
    """Return how many unfinished runs there are by state, and held ones by reason."""
    grouped = sa.select(Run.state, Run.hold_reason, sa.func.count()).where(Run.finished_at.is_(None))
    states, reasons = Counter[str](), Counter[str]()
    for state, reason, n in session.execute(grouped.group_by(Run.state, Run.hold_reason)):
        states[state] += n
        if state == RunState.HELD:
            reasons[reason] += n
    return states, reasons
