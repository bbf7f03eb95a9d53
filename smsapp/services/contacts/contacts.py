"""Contacts: the list and the page of a contact, and the numbers read from properties."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain import contact as rules
from smsapp.domain import phone
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound
from smsapp.store import queue
from smsapp.store.apps import app_keys
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.contacts import aliases, contacts, property_catalogue, replies
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import current_session, writing
from smsapp.store.runs import history
from smsapp.store.runs.history import RunOfContact
from smsapp.store.settings import settings

BAD_RECORD_DAYS = 7
"""As long as Ark keeps its error queue."""
PAGE = 50
SHOWN_RUNS, SHOWN_REPLIES = 20, 10
"""What the page of one contact shows of its past."""
REBUILD_CHUNK = 5000


# Pages


@dataclass(frozen=True)
class ContactPage:
    """One page of the list; `older` is the id to go on below, None at the end."""

    rows: list[Contact]
    older: int | None


def listed(search: str = "", before: int | None = None, *, sees_full_numbers: bool = False) -> ContactPage:
    """Return contacts that fit the search (a number, a user id, a name), newest first.

    `sees_full_numbers` says whether the reader may see numbers; for others no search tells more than a mask shows.
    """
    rows = contacts.listed(
        current_session(), search, settings().DEFAULT_REGION, before, PAGE + 1, sees_full_numbers=sees_full_numbers
    )
    return ContactPage(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def contact(contact_id: int) -> Contact:
    """Return the contact; raise NotFound."""
    found = contacts.find(current_session(), contact_id)
    if found is None:
        raise NotFound("contact")
    return found


@dataclass(frozen=True)
class Fact:
    """A property of a contact with its value; `number` if the value is a phone of some channel."""

    name: str
    label: str
    type: Type
    value: Any
    number: bool


def facts(found: Contact) -> list[Fact]:
    """Return what is known about a contact, in the order of names."""
    known = {row.name: row for row in property_catalogue.properties(current_session())}
    phones = property_catalogue.phone_properties(current_session())
    return [
        Fact(
            name,
            known[name].label if name in known else "",
            Type(known[name].type) if name in known else rules.PRESETS.get(name, Type.STRING),
            found.properties[name],
            name in phones,
        )
        for name in sorted(found.properties)
    ]


def contacted(found: Contact) -> list[RunOfContact]:
    """Return the newest runs that meant this person, with or without a message."""
    return history.of_person(current_session(), found.id, _numbers(found), SHOWN_RUNS)


def replied(found: Contact) -> list[Reply]:
    """Return the newest replies from this person's numbers."""
    return replies.newest_of(current_session(), _numbers(found), SHOWN_REPLIES)


def opt_outs_of(found: Contact) -> list[OptOut]:
    """Return the opt-outs of this person's numbers."""
    return replies.opt_outs_of(current_session(), _numbers(found))


def _numbers(found: Contact) -> set[str]:
    return {number for number in found.phones.values() if number}


def numbers(found: Sequence[Contact]) -> dict[int, dict[str, str]]:
    """Return each contact's numbers by the property that holds them, of those properties that channels read."""
    used = property_catalogue.phone_properties(current_session())
    return {row.id: {name: number for name, number in row.phones.items() if name in used} for row in found}


def opted_out(found: Sequence[Contact]) -> set[str]:
    """Return those numbers of these contacts to which nobody may write."""
    return replies.opted_out(current_session(), {number for one in found for number in one.phones.values() if number})


def anonymous_ids(found: Contact) -> list[str]:
    """Return the anonymous ids under which this contact was known before."""
    return aliases.anonymous_ids(current_session(), found.xwho)


def catalogue() -> list[Property]:
    """Return all known properties in the order of names."""
    return property_catalogue.properties(current_session())


def bad_records(source: str = "", reason: str = "", appid: str = "", before: int | None = None) -> list[BadRecord]:
    """Return refused records, newest first, at most one page and one more."""
    return app_keys.bad_records(current_session(), source, reason, appid, before, PAGE + 1)


def forget_bad_records(now: dt.datetime) -> int:
    """Remove refused records that are older than seven days; return how many went."""
    removed = 0
    while True:
        with writing() as session:
            gone = app_keys.delete_bad_records(session, now - dt.timedelta(days=BAD_RECORD_DAYS), REBUILD_CHUNK)
        removed += gone
        if gone < REBUILD_CHUNK:
            return removed


# Numbers


def note_phone_property(session: Session, name: str) -> None:
    """Have the numbers of a property read that a channel begins to use, once the transaction is committed."""

    def ring(_session: Session) -> None:
        queue.enqueue(queue.PERIODIC, "rebuild_phones", name)

    sa.event.listen(session, "after_commit", ring, once=True)


def note_left_property(session: Session, name: str) -> None:
    """Have the numbers of a property forgotten, once the transaction is committed, if no channel reads it any more."""
    if name not in property_catalogue.phone_properties(session):
        note_phone_property(session, name)


def rebuild_phones(name: str) -> int:
    """Read the numbers of one property of all contacts anew, a chunk per transaction; return how many were looked at.

    Of a property that no channel reads any more they are forgotten: who has it would seem to have a wrong number.

    It may be cut off and begun again: each chunk is right by itself.
    """
    region = settings().DEFAULT_REGION
    after = seen = 0
    while True:
        with writing() as session:
            used = name in property_catalogue.phone_properties(session)
            rows = contacts.phones_after(session, name, after, REBUILD_CHUNK)
            if not rows:
                return seen
            numbers = [
                (id_, None if not used or value in (None, "") else phone.normalise(value, region))
                for id_, value in rows
            ]
            contacts.set_phones(session, name, numbers)
        after = rows[-1][0]
        seen += len(rows)
