"""All that is stored about one person, table by table, read in pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.erasure import Subject
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.consents import Consent
from smsapp.store.contacts.contacts import Contact, ContactIds
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import one_of
from smsapp.store.runs.runs import Exclusion, Message, Run

RUNS_AT_ONCE = 500


def contacts(session: Session, subject: Subject) -> Sequence[Contact]:
    query = sa.select(Contact).where(one_of(Contact.id, subject.contact_ids)).order_by(Contact.id)
    return session.scalars(query).all()


def aliases(session: Session, user_ids: Collection[str]) -> Sequence[Alias]:
    """Return the anonymous ids that lead to these user ids."""
    return session.scalars(sa.select(Alias).where(one_of(Alias.xwho, user_ids)).order_by(Alias.anonymous_id)).all()


def is_among(session: Session, members: ContactIds, contact_ids: Collection[int]) -> bool:
    """Return whether any of these contacts is a member of a segment."""
    ids = members.subquery()
    (member,) = ids.columns
    return bool(session.scalar(sa.select(sa.exists().where(one_of(member, contact_ids)))))


def proposals(session: Session, contact_ids: Collection[int]) -> Sequence[Proposal]:
    query = sa.select(Proposal).where(one_of(Proposal.contact_id, contact_ids)).order_by(Proposal.id)
    return session.scalars(query).all()


def messages(session: Session, numbers: Collection[str]) -> Iterator[tuple[Message, Run, str]]:
    """Yield (message, its run, the campaign's name) to these numbers, newest runs first."""
    for run_ids in _runs(session):
        query = (
            sa.select(Message, Run, Campaign.name)
            .join(Run, Run.id == Message.run_id)
            .join(Campaign, Campaign.id == Run.campaign_id)
            .where(Message.run_id.in_(run_ids), one_of(Message.phone, numbers))
            .order_by(Message.run_id.desc(), Message.seq)
        )
        yield from ((message, run, name) for message, run, name in session.execute(query))


def exclusions(session: Session, contact_ids: Collection[int]) -> Iterator[tuple[Exclusion, Run, str]]:
    """Yield (exclusion, its run, the campaign's name) of these contacts, newest runs first."""
    for run_ids in _runs(session):
        query = (
            sa.select(Exclusion, Run, Campaign.name)
            .join(Run, Run.id == Exclusion.run_id)
            .join(Campaign, Campaign.id == Run.campaign_id)
            .where(Exclusion.run_id.in_(run_ids), one_of(Exclusion.contact_id, contact_ids))
            .order_by(Exclusion.run_id.desc())
        )
        yield from ((exclusion, run, name) for exclusion, run, name in session.execute(query))


def _runs(session: Session) -> Iterator[Sequence[int]]:
    """Yield the ids of all runs that have messages, newest first, some hundred at a time."""
    below: int | None = None
    frozen = sa.select(Run.id).where(Run.started_at.is_not(None), Run.forgotten_at.is_(None))
    while run_ids := session.scalars(
        (frozen if below is None else frozen.where(Run.id < below)).order_by(Run.id.desc()).limit(RUNS_AT_ONCE)
    ).all():
        yield run_ids
        below = run_ids[-1]


def replies(session: Session, numbers: Collection[str]) -> Sequence[Reply]:
    return session.scalars(sa.select(Reply).where(one_of(Reply.phone, numbers)).order_by(Reply.id)).all()


def consents(session: Session, subject: Subject) -> Sequence[Consent]:
    theirs = sa.or_(one_of(Consent.contact_id, subject.contact_ids), one_of(Consent.phone, subject.numbers))
    return session.scalars(sa.select(Consent).where(theirs).order_by(Consent.id)).all()


def opt_outs(session: Session, numbers: Collection[str]) -> Sequence[OptOut]:
    return session.scalars(sa.select(OptOut).where(one_of(OptOut.phone, numbers)).order_by(OptOut.id)).all()
