"""Runs that repeat another one: who is retried, and the states of these people in the repeated run.

A failed message of a run is retried at most once: the run that repeats it has the person's later state, which replaces
the earlier one in all sums over a campaign's runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from smsapp.domain.message import FAILED_STATES, Status
from smsapp.domain.outcome import RETRIABLE
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.runs.runs import Message, Run
from smsapp.store.runs.tallies import EARLIER, Changes, Tally, add_to_tallies, earlier_key, tally_key


def remaining(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    """Return {run id: failed messages that can be retried and have not been}, from the tallies.

    Single messages are not: the program that asked for them knows whether they still are worth sending.
    """
    failed = [tally_key(status) for status in FAILED_STATES]
    worth = Tally.reason.in_(sorted(RETRIABLE))
    counts: Counter[int] = Counter()
    here = (
        sa.select(Tally.run_id, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Tally.run_id.in_(run_ids), Tally.state.in_(failed), worth, Campaign.api_key_id.is_(None))
    )
    for run_id, n in session.execute(here.group_by(Tally.run_id)):
        counts[run_id] += int(n)
    tried = (
        sa.select(Run.repeats, sa.func.sum(Tally.n))
        .join(Tally, Tally.run_id == Run.id)
        .where(Run.repeats.in_(run_ids), Tally.state.in_([earlier_key(status) for status in FAILED_STATES]), worth)
    )
    for first, n in session.execute(tried.group_by(Run.repeats)):
        counts[first or 0] -= int(n)
    return {run_id: n for run_id, n in counts.items() if n > 0}


def repeating(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    """Return run id -> id of the run it repeats, for these runs and for runs that repeat one of them."""
    query = sa.select(Run.id, Run.repeats).where(
        Run.repeats.is_not(None), sa.or_(Run.id.in_(run_ids), Run.repeats.in_(run_ids))
    )
    return {run_id: first for run_id, first in session.execute(query) if first is not None}


def average_parts(session: Session, run_id: int) -> float:
    """Return the average billed parts of the messages that can be retried; 1 if there are none."""
    average = sa.select(sa.func.avg(sa.func.coalesce(Message.parts, 1))).where(*candidates(run_id))
    return float(session.scalar(average) or 1)


def repeated(run_id: Any) -> sa.ColumnElement[bool]:
    """Return the condition that another run has retried a message of this run."""
    later, repeating = aliased(Message), aliased(Run)
    return sa.exists(
        sa.select(later.seq)
        .select_from(later)
        .join(repeating, repeating.id == later.run_id)
        .where(repeating.repeats == run_id, later.phone == Message.phone)
        .correlate(Message)
    )


def candidates(run_id: int) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on a run's messages that can be retried: failed, retriable, not retried yet."""
    return [
        Message.run_id == run_id,
        Message.status.in_(sorted(FAILED_STATES)),
        Message.reason.in_(sorted(RETRIABLE)),
        ~repeated(run_id),
    ]


def members(run_id: int, phone_property: str) -> sa.Select[Any]:
    """Return a SELECT of the ids of the contacts of these messages that still have the same number."""
    tried = sa.exists().where(
        *candidates(run_id),
        Message.contact_id == Contact.id,
        Message.phone == Contact.phones[phone_property].as_string(),
    )
    return sa.select(Contact.id).where(Contact.id.in_(sa.select(Message.contact_id).where(*candidates(run_id))), tried)


def lock_candidates(session: Session, run_id: int) -> None:
    """Lock the messages that can be retried, so that receipts wait until the new run is frozen."""
    locked = sa.select(Message.seq).where(*candidates(run_id)).order_by(Message.seq).with_for_update(of=Message)
    session.execute(sa.select(sa.func.count()).select_from(locked.subquery())).one()


def add_earlier_tallies(session: Session, run_id: int, first: int) -> None:
    """Add to the run's tallies the statuses of its people in the run it repeats."""
    add_to_tallies(session, run_id, count_earlier(session, run_id, first))


def count_earlier(session: Session, run_id: int, first: int) -> Changes:
    """Return (earlier_key, reason) -> people of this run, by their status in the run it repeats; counted from rows."""
    before, again = aliased(Message), aliased(Message)
    reason = sa.func.coalesce(before.reason, "").label("why")
    rows = session.execute(
        sa.select(before.status, reason, sa.func.count())
        .select_from(again)
        .join(before, sa.and_(before.run_id == first, before.phone == again.phone))
        .where(again.run_id == run_id)
        .group_by(before.status, sa.text("why"))
    )
    return Counter({(earlier_key(Status(status)), why): n for status, why, n in rows})


def stored_earlier(session: Session, run_id: int) -> Changes:
    """Return the same from the tallies."""
    query = sa.select(Tally.state, Tally.reason, Tally.n).where(Tally.run_id == run_id, Tally.state.startswith(EARLIER))
    return Counter({(state, why): n for state, why, n in session.execute(query)})
