"""Conditions on the ledger as SQL: the contacts that a condition holds for, selected by run ids.

Run ids are looked up first and stand in the statement as numbers, so that PostgreSQL reads the partitions of these
runs only, and so that a run that is being frozen does not see itself: it has not started.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.ledger_condition import STATES, LedgerCondition, LedgerOperator
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import phone_properties
from smsapp.store.contacts.replies import Reply
from smsapp.store.runs.runs import Message, Run


def holding(session: Session, condition: LedgerCondition, now: dt.datetime) -> sa.Select[Any]:
    """Return a SELECT of `contact_id`, maybe several times, for whom a positive condition holds.

    Raises Refusal if the messages it asks for have been removed.
    """
    since = now - dt.timedelta(days=condition.days)
    if condition.operator is LedgerOperator.REPLIED_WITHIN:
        return _replied_since(session, since)
    if condition.operator is LedgerOperator.MARKETING_WITHIN:
        runs = _started(session, condition, Run.marketing.is_(True), Run.started_at >= since)
    else:
        runs = _started(session, condition, Run.campaign_id == condition.campaign_id)
        runs = _with_repeats(runs, condition.run_id)
    query = sa.select(Message.contact_id.label("contact_id"))
    if condition.operator is LedgerOperator.REPLIED:
        phones = sa.select(Reply.phone).where(Reply.campaign_id == condition.campaign_id, Reply.phone != "")
        return query.where(Message.run_id.in_(runs), Message.phone.in_(phones))
    query = query.where(Message.status.in_(sorted(STATES[condition.operator])))
    if condition.operator is not LedgerOperator.FAILED:
        return query.where(Message.run_id.in_(runs))
    if condition.reason:
        query = query.where(Message.reason == condition.reason)
    return query.where(_not_repeated(runs))


def _started(
    session: Session, condition: LedgerCondition, *conditions: sa.ColumnElement[bool]
) -> dict[int, int | None]:
    """Return {run id: the run it repeats} of runs that have begun; raises Refusal if messages of one are gone."""
    query = sa.select(Run.id, Run.repeats, Run.forgotten_at).where(Run.started_at.is_not(None), *conditions)
    rows = session.execute(query.order_by(Run.id)).all()
    repeats: dict[int, int | None] = {row.id: row.repeats for row in rows}
    asked = _with_repeats(repeats, condition.run_id)
    if any(row.forgotten_at is not None for row in rows if row.id in asked):
        name = session.scalar(sa.select(Campaign.name).where(Campaign.id == condition.campaign_id))
        code = "segment_days_forgotten" if condition.campaign_id is None else "segment_runs_forgotten"
        raise Refusal(Problem(code, "rule", {"name": name or "", "days": condition.days}))
    return repeats


def _with_repeats(repeats: dict[int, int | None], run_id: int | None) -> dict[int, int | None]:
    """Return those runs that are this one or repeat it, directly or not; all of them for None."""
    if run_id is None:
        return repeats
    chosen = {run_id}
    for id_, first in repeats.items():  # a run that repeats another one has a higher id
        if first in chosen:
            chosen.add(id_)
    return {id_: first for id_, first in repeats.items() if id_ in chosen}


def _not_repeated(runs: dict[int, int | None]) -> sa.ColumnElement[bool]:
    """Return the condition that a message is one of these runs and none of the others has tried it again."""
    later_ids: defaultdict[int | None, list[int]] = defaultdict(list)
    for id_, first in runs.items():
        if first in runs:
            later_ids[first].append(id_)
    last = Message.run_id.in_([id_ for id_ in runs if id_ not in later_ids])
    earlier = []
    for first, ids in later_ids.items():
        later = aliased(Message)
        again = sa.exists().where(later.run_id.in_(ids), later.phone == Message.phone)
        earlier.append(sa.and_(Message.run_id == first, ~again))
    return sa.or_(last, *earlier)


def _replied_since(session: Session, since: dt.datetime) -> sa.Select[Any]:
    phones = sa.select(Reply.phone).where(Reply.received_at >= since, Reply.phone != "")
    numbers: Sequence[str] = sorted(phone_properties(session))
    has_replied = [Contact.phones[name].as_string().in_(phones) for name in numbers]
    return sa.select(Contact.id.label("contact_id")).where(sa.or_(sa.false(), *has_replied))
