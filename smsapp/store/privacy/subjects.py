"""Who a person is: the contacts, ids and numbers that belong together; and how many rows are about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.contact import Type
from smsapp.domain.erasure import Subject, written_forms
from smsapp.domain.message import Status
from smsapp.domain.phone import normalise
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import phone_properties, property_types
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import one_of
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.runs import Exclusion, Message, Run

AT_ONCE = 2000


def widened(session: Session, subject: Subject, region: str) -> Subject:
    """Return the subject with every contact that has one of its ids or numbers, and with their ids and numbers.

    A number that two contacts have belongs to both: it can be erased only together.
    """
    while True:
        contacts = list(_contacts(session, subject))
        wider = subject.joined(
            Subject(
                frozenset(number for _, _, numbers in contacts for number in numbers),
                frozenset(xwho for _, xwho, _ in contacts) | _aliases(session, subject.user_ids),
                frozenset(id_ for id_, _, _ in contacts),
            )
        )
        wider = wider.joined(Subject(numbers_in_values(session, wider.contact_ids, region)))
        if wider == subject:
            return wider
        subject = wider


def _aliases(session: Session, user_ids: Collection[str]) -> frozenset[str]:
    """Return the anonymous ids that lead to these user ids, and the other way round."""
    if not user_ids:
        return frozenset()
    sides = sa.or_(one_of(Alias.xwho, user_ids), one_of(Alias.anonymous_id, user_ids))
    rows = session.execute(sa.select(Alias.anonymous_id, Alias.xwho).where(sides))
    return frozenset(id_ for row in rows for id_ in row)


def _contacts(session: Session, subject: Subject) -> Iterator[tuple[int, str, set[str]]]:
    """Yield (id, user id, numbers) of the contacts with these ids or numbers."""
    ids = subject.user_ids | {form for phone in subject.numbers for form in (phone, *written_forms(phone))}
    sides = [one_of(Contact.xwho, ids)] if ids else []
    if subject.contact_ids:
        sides.append(one_of(Contact.id, subject.contact_ids))
    if subject.numbers:
        names = sorted(phone_properties(session))
        sides += [sa.and_(Contact.phones[name].as_string().in_(subject.numbers)) for name in names]
    if not sides:
        return
    query = sa.select(Contact.id, Contact.xwho, Contact.phones).where(sa.or_(*sides))
    for id_, xwho, phones in session.execute(query):
        yield id_, xwho, {number for number in phones.values() if number}


def numbers_in_values(session: Session, contact_ids: Collection[int], region: str) -> frozenset[str]:
    """Return the numbers that any text or figure of these contacts is, whatever the property is meant for."""
    numbers: set[str] = set()
    kinds = property_types(session)
    ids = sorted(contact_ids)
    for start in range(0, len(ids), AT_ONCE):
        query = sa.select(Contact.properties, Contact.xwho).where(one_of(Contact.id, ids[start : start + AT_ONCE]))
        for properties, xwho in session.execute(query):
            texts = [xwho]
            for name, value in properties.items():
                if kinds.get(name) is Type.LIST:
                    texts += value
                elif kinds.get(name) in {Type.STRING, Type.NUMBER, None}:
                    texts.append(value)
            numbers |= {number for text in texts if (number := normalise(text, region))}
    return frozenset(numbers)


def existing_contacts(session: Session, subject: Subject) -> list[tuple[int, str]]:
    """Return (id, user id) of the subject's contacts, in the order of ids."""
    query = sa.select(Contact.id, Contact.xwho).where(one_of(Contact.id, subject.contact_ids)).order_by(Contact.id)
    return [(id_, xwho) for id_, xwho in session.execute(query)]


def count_rows(session: Session, subject: Subject) -> dict[str, int]:
    """Return table -> rows that an erasure changes or deletes, as far as indexes find them."""
    ids, numbers = subject.contact_ids, subject.numbers
    run_ids = sa.select(Run.id).where(Run.forgotten_at.is_(None), Run.started_at.is_not(None)).scalar_subquery()
    counts = {
        "contact": (Contact, one_of(Contact.id, ids)),
        "segment_member": (SegmentMember, one_of(SegmentMember.contact_id, ids)),
        "proposal": (Proposal, one_of(Proposal.contact_id, ids)),
        "message": (Message, sa.and_(Message.run_id.in_(run_ids), Message.phone.in_(numbers))),
        "exclusion": (Exclusion, sa.and_(Exclusion.run_id.in_(run_ids), one_of(Exclusion.contact_id, ids))),
        "reply": (Reply, Reply.phone.in_(numbers)),
        "opt_out": (OptOut, OptOut.phone.in_(numbers)),
        "unmatched_receipt": (UnmatchedReceipt, UnmatchedReceipt.phone.in_(numbers)),
    }
    return {
        name: session.scalar(sa.select(sa.func.count()).select_from(table).where(condition)) or 0
        for name, (table, condition) in counts.items()
    }


def count_unfinished(session: Session, numbers: Collection[str]) -> int:
    """Return how many messages to these numbers are queued or in flight."""
    run_ids = sa.select(Run.id).where(Run.finished_at.is_(None)).scalar_subquery()
    waiting = (Message.run_id.in_(run_ids), Message.phone.in_(numbers), Message.status == Status.QUEUED)
    return session.scalar(sa.select(sa.func.count()).where(*waiting)) or 0
