"""Which numbers of an audience also get other texts: set-based, over messages that are known and people planned."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.campaign import Status
from smsapp.domain.run import RunState
from smsapp.store.campaigns import same_text
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import audience as audiences
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.exclusion import NOT_WRITTEN_TO, Cap
from smsapp.store.runs.runs import Message, Run

Numbers = sa.Select[Any]
"""A SELECT of numbers, each once; its column is `phone`."""
MOST_CAMPAIGNS = 500


def recent_runs(session: Session, since: dt.datetime, but: int) -> dict[int, list[int]]:
    """Return {campaign: its runs that were frozen since then}, except for campaign `but`; of the newest runs."""
    newest = sa.select(Run.id).order_by(Run.id.desc()).limit(same_text.NEWEST_RUNS)
    query = (
        sa.select(Run.campaign_id, Run.id)
        .where(Run.id.in_(newest.scalar_subquery()), Run.started_at >= since, Run.planned > 0)
        .where(Run.campaign_id != but, Run.forgotten_at.is_(None))
        .order_by(Run.id.desc())
    )
    runs_by_campaign: dict[int, list[int]] = {}
    for campaign_id, run_id in session.execute(query):
        runs_by_campaign.setdefault(campaign_id, []).append(run_id)
    return runs_by_campaign


def unfrozen(session: Session, but: int) -> set[int]:
    """Return the campaigns with a run whose audience is still to be frozen, except `but`."""
    is_open = (Run.finished_at.is_(None), Run.started_at.is_(None), Run.state.in_([RunState.OPEN, RunState.HELD]))
    return set(
        session.scalars(sa.select(Run.campaign_id).where(*is_open, Run.repeats.is_(None), Run.campaign_id != but))
    )


def may_fire(session: Session, until: dt.datetime, but: int) -> Sequence[Campaign]:
    """Return confirmed campaigns that may be due before then: waiting ones, and recurring ones between two fires."""
    waits = sa.and_(Campaign.status == Status.WAITING, Campaign.next_due_at < until)
    recurs = sa.and_(Campaign.status == Status.SENDING, Campaign.recurring)
    query = sa.select(Campaign).where(sa.or_(waits, recurs), Campaign.deleted_at.is_(None), Campaign.id != but)
    return session.scalars(query.order_by(Campaign.next_due_at, Campaign.id).limit(MOST_CAMPAIGNS)).all()


def campaigns(session: Session, campaign_ids: Sequence[int]) -> dict[int, Campaign]:
    """Return these campaigns by id, including deleted ones."""
    return {row.id: row for row in session.scalars(sa.select(Campaign).where(Campaign.id.in_(campaign_ids)))}


# -- numbers ----------------------------------------------------------------------------------------------------------


def written_to(run_ids: Sequence[int], *, delivered: bool = False) -> Numbers:
    """Return the numbers that got a message in these runs, or still may; `delivered`: not those it did not reach."""
    not_counted = same_text.DID_NOT_GET_IT if delivered else NOT_WRITTEN_TO
    status_counts = Message.status.not_in([int(status) for status in not_counted])
    query = sa.select(Message.phone.label("phone")).where(Message.run_id.in_(run_ids), status_counts)
    return query if len(run_ids) == 1 else query.distinct()


def planned(audience: Audience) -> Numbers:
    """Return the numbers of an audience that would get a message."""
    people = audiences.select_members(audience).subquery("planned_people")
    return sa.select(people.c.phone.label("phone")).where(people.c.reason.is_(None)).distinct()


def any_of(parts: Sequence[Numbers]) -> Numbers:
    """Return the numbers that one of these has."""
    if len(parts) == 1:
        return parts[0]
    together = sa.union(*parts).subquery("together")
    return sa.select(together.c.phone.label("phone"))


def reaching(cap: Cap) -> Numbers:
    """Return the numbers that reach a cap with the next message: those with one less than it allows, at least one."""
    reached = Message.status.not_in([int(status) for status in NOT_WRITTEN_TO])
    query = sa.select(Message.phone.label("phone")).join(Run, Run.id == Message.run_id)
    counted = query.where(Run.started_at >= cap.since, Run.marketing.is_(True), reached)
    return counted.group_by(Message.phone).having(sa.func.count() == cap.most - 1)


# -- who of an audience is among them ---------------------------------------------------------------------------------


def _recipients(audience: Audience) -> sa.Subquery:
    """Return (contact_id, phone) of those who get a message: of several people with one number the first."""
    people = audience.people
    first = sa.select(sa.func.min(people.c.contact_id).label("contact_id"), people.c.phone)
    return first.where(people.c.reason.is_(None)).group_by(people.c.phone).subquery("recipients")


def count_each(session: Session, audience: Audience, numbers: Mapping[int, Numbers]) -> dict[int, int]:
    """Return {key: how many of the audience's messages go to its numbers}; the audience is evaluated once."""
    if not numbers:
        return {}
    recipients = _recipients(audience)
    parts = []
    for key, select in numbers.items():
        each = select.subquery(f"numbers_{key}" if key >= 0 else f"numbers_of_{-key}")
        parts.append(sa.select(sa.literal(key, sa.Integer).label("key"), each.c.phone.label("phone")))
    tagged = (sa.union_all(*parts) if len(parts) > 1 else parts[0]).subquery("tagged")
    query = sa.select(tagged.c.key, sa.func.count()).join(recipients, recipients.c.phone == tagged.c.phone)
    return {key: n for key, n in session.execute(query.group_by(tagged.c.key))}  # noqa: C416 a Row is no pair to mypy


def page(session: Session, audience: Audience, numbers: Numbers, after: int, limit: int) -> list[tuple[int, str, str]]:
    """Return (contact id, user id, phone) of those of an audience with one of these numbers, after a contact id."""
    recipients = _recipients(audience)
    query = (
        sa.select(recipients.c.contact_id, Contact.xwho, recipients.c.phone)
        .join(Contact, Contact.id == recipients.c.contact_id)
        .where(recipients.c.contact_id > after, recipients.c.phone.in_(numbers))
        .order_by(recipients.c.contact_id)
        .limit(limit)
    )
    return [(contact_id, xwho, phone) for contact_id, xwho, phone in session.execute(query)]


def last_sent(session: Session, run_ids: Sequence[int]) -> dt.datetime | None:
    """Return when the newest of these runs was frozen."""
    return session.scalar(sa.select(sa.func.max(Run.started_at)).where(Run.id.in_(run_ids)))
