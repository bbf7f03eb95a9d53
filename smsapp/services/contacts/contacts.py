"""Contacts: the list and the page of a contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import contact as rules
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound
from smsapp.services.platform import keyset_page
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store.apps import app_keys
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.contacts import aliases, contacts, property_catalogue, replies
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import current_session
from smsapp.store.privacy import erased_numbers
from smsapp.store.runs import history
from smsapp.store.runs.history import RunOfContact
from smsapp.store.settings import settings

BAD_RECORD_DAYS = 7
"""As Ark's error queue."""
PAGE = 50
MOST_CALLED = 8
"""People of one name among whom a person chooses."""
SHOWN_RUNS, SHOWN_REPLIES = 20, 10
"""The newest runs and replies on the page of one contact."""


def listed(search: str = "", before: int | None = None, *, sees_full_numbers: bool = False) -> KeysetPage[Contact, int]:
    """Return contacts that match the search (a number, a user id, a name), newest first.

    `sees_full_numbers`: the reader may see numbers; for others no search reveals masked digits.
    """
    rows = contacts.listed(
        current_session(), search, settings().DEFAULT_REGION, before, PAGE + 1, sees_full_numbers=sees_full_numbers
    )
    return keyset_page.cut(rows, PAGE, lambda row: row.id)


@dataclass(frozen=True)
class Person:
    """Somebody who was looked up, with what tells people of one name apart."""

    id: int
    xwho: str
    name: str
    phone: str = field(repr=False)


def people_called(search: str, *, sees_full_numbers: bool = False) -> list[Person]:
    """Return the first MOST_CALLED who match the search of `listed`, and one more if there are more.

    A whole user id means that person, and nobody whose id begins with it.
    """
    session, region = current_session(), settings().DEFAULT_REGION
    if own_id := contacts.ids_of(session, [search]).get(search):
        rows = [row for row in [contacts.find(session, own_id)] if row is not None]
    else:
        rows = contacts.listed(session, search, region, None, MOST_CALLED + 1, sees_full_numbers=sees_full_numbers)
    return [Person(row.id, row.xwho, _name_of(row), row.phones.get(rules.PHONE) or "") for row in rows]


def _name_of(row: Contact) -> str:
    return next((str(row.properties[name]) for name in contacts.NAMES if row.properties.get(name)), "")


def contact(contact_id: int) -> Contact:
    """Return the contact; raise NotFound."""
    row = contacts.find(current_session(), contact_id)
    if row is None:
        raise NotFound("contact")
    return row


@dataclass(frozen=True)
class Fact:
    """A property of a contact with its value; `number` if the value is a phone of some channel."""

    name: str
    label: str
    type: Type
    value: Any
    number: bool

    @property
    def is_list(self) -> bool:
        return self.type == Type.LIST

    @property
    def is_yes_or_no(self) -> bool:
        return self.type == Type.BOOL

    @property
    def is_moment(self) -> bool:
        return self.type == Type.DATETIME

    @property
    def is_figure(self) -> bool:
        return self.type == Type.NUMBER


def facts(contact: Contact) -> list[Fact]:
    """Return the properties of a contact, in the order of names."""
    by_name = {row.name: row for row in property_catalogue.properties(current_session())}
    phones = property_catalogue.phone_properties(current_session())
    return [
        Fact(
            name,
            by_name[name].label if name in by_name else "",
            Type(by_name[name].type) if name in by_name else rules.PRESETS.get(name, Type.STRING),
            contact.properties[name],
            name in phones,
        )
        for name in sorted(contact.properties)
    ]


def contacted(contact: Contact) -> list[RunOfContact]:
    """Return the newest runs that targeted this person, with or without a message."""
    return history.of_person(current_session(), contact.id, _numbers(contact), SHOWN_RUNS)


def replied(contact: Contact) -> list[Reply]:
    """Return the newest replies from this person's numbers."""
    return replies.newest_of(current_session(), _numbers(contact), SHOWN_REPLIES)


def opt_outs_of(contact: Contact) -> dict[str, OptOut]:
    """Return number -> opt-out of this person's numbers, also one from before the number was erased."""
    forms = erased_numbers.stored_forms(current_session(), _numbers(contact))
    return {forms[opt_out.phone]: opt_out for opt_out in replies.opt_outs_of(current_session(), _numbers(contact))}


def _numbers(contact: Contact) -> set[str]:
    return {number for number in contact.phones.values() if number}


def numbers(rows: Sequence[Contact]) -> dict[int, dict[str, str]]:
    """Return contact id -> property -> number, for the properties that channels read."""
    used = property_catalogue.phone_properties(current_session())
    return {row.id: {name: number for name, number in row.phones.items() if name in used} for row in rows}


def opted_out(rows: Sequence[Contact]) -> set[str]:
    """Return the numbers of these contacts that are on the opt-out list."""
    return replies.opted_out(current_session(), {number for row in rows for number in row.phones.values() if number})


def anonymous_ids(contact: Contact) -> list[str]:
    """Return the earlier anonymous ids of this contact."""
    return aliases.anonymous_ids(current_session(), contact.xwho)


def catalogue() -> list[Property]:
    """Return all known properties in the order of names."""
    return property_catalogue.properties(current_session())


def bad_records(source: str = "", reason: str = "", appid: str = "", before: int | None = None) -> list[BadRecord]:
    """Return refused records, newest first, at most one page and one more."""
    return app_keys.bad_records(current_session(), source, reason, appid, before, PAGE + 1)
