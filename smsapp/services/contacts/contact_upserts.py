"""Contacts as the organisation's own programs write them through the HTTP API: merged in bulk, removed one by one.

Values are read as those that apps report (domain/profile_operation.py), and merged as those of an imported file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound
from smsapp.domain.profile_operation import Kind, Operation, operation, without
from smsapp.domain.rejection import Loss, Reason, Unfit
from smsapp.domain.rights import Right
from smsapp.domain.trust import Origin, Source
from smsapp.services.contacts import consents
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import as_json, current_session, writing
from smsapp.store.settings import settings

NOUN = "contact"
MOST_AT_ONCE = 1000
TRIES = 3
"""How often contacts are read anew, because somebody else brought one of their properties with another type."""


@dataclass
class Merged:
    """What became of some contacts."""

    added: int = 0
    changed: int = 0
    refused: list[tuple[int, Reason]] = field(default_factory=list)
    """(place in the list, why nothing of it could be kept)"""
    losses: list[tuple[int, Loss]] = field(default_factory=list)
    """(place in the list, a value that was left out)"""


def by_user_id(user_id: str) -> Contact:
    """Return the contact; raises NotFound."""
    contact_id = contacts.ids_of(current_session(), [user_id]).get(user_id)
    contact = contacts.find(current_session(), contact_id) if contact_id is not None else None
    if contact is None:
        raise NotFound(NOUN)
    return contact


def merge(people: Sequence[tuple[str, Mapping[str, Any]]], key_id: int, by: Actor, now: dt.datetime) -> Merged:
    """Add contacts and change those that are there: (user id, values) each; what is not named stays.

    `key_id` is that of the API key, which every value names as its source. A contact of which nothing can be kept is
    refused, the others are written, all of them in one transaction.
    """
    require(by, Right.CONTACTS_IMPORT)
    types = property_catalogue.property_types(current_session())
    redirects = property_catalogue.redirects(current_session())
    renamed = [(xwho, {redirects.get(name, name): value for name, value in held.items()}) for xwho, held in people]
    full: set[str] = set()
    for _ in range(TRIES):
        read, merged = _read(renamed, types, full)
        fresh = {name: kind for _, asked in read for name, kind in asked.types.items()}
        with writing() as session:
            stored = property_catalogue.add_properties(session, fresh, now)
            if stored != fresh:
                types = {**types, **stored}
                full |= fresh.keys() - stored.keys()
                continue
            rows = _rows([asked for _, asked in read])
            merged.added = contacts.merge(session, rows, Source(Origin.KEY, key_id, now).as_text(), now)
            merged.changed = len({row[0] for row in rows}) - merged.added
            names = {name for _, asked in read for name in asked.values}
            consents.note_values([row[0] for row in rows], now, *names)
            log_action(session, by, "merge", NOUN, "", now, added=merged.added, changed=merged.changed)
        return merged
    return Merged(refused=[(place, Reason.TOO_MANY_NAMES) for place in range(len(people))])


def remove(contact_id: int, by: Actor, now: dt.datetime) -> None:
    """Remove a contact with all its values, as an app's $profile_delete; ledgers and opt-outs stay. Raises NotFound."""
    require(by, Right.CONTACTS_IMPORT)
    with writing() as session:
        contact = contacts.find(session, contact_id)
        if contact is None:
            raise NotFound(NOUN)
        contacts.remove(session, [contact.xwho])
        session.expunge(contact)
        log_action(session, by, "delete", NOUN, contact_id, now)


def _read(
    people: Sequence[tuple[str, Mapping[str, Any]]], known: Mapping[str, Type], full: Collection[str]
) -> tuple[list[tuple[int, Operation]], Merged]:
    """Return (place, what is asked for) of each fit contact; of properties in `full` nothing is taken."""
    types, merged = dict(known), Merged()
    read = []
    for place, (xwho, held) in enumerate(people):
        try:
            asked = operation({"xwhat": Kind.SET.value, "xwho": xwho, "xcontext": held}, types)
        except Unfit as unfit:
            merged.refused.append((place, unfit.reason))
            continue
        if asked is None:
            continue
        without_room = asked.values.keys() & set(full)
        asked = without(asked, without_room)
        asked.losses += [Loss(Reason.TOO_MANY_NAMES, name, "", {"name": name}) for name in sorted(without_room)]
        types |= asked.types
        merged.losses += [(place, loss) for loss in asked.losses]
        read.append((place, asked))
    return read, merged


def _rows(asked: Sequence[Operation]) -> list[contacts.Row]:
    session = current_session()
    phones = property_catalogue.phone_properties(session)
    texts = contacts.phone_texts(phones, [one.values for one in asked], settings().DEFAULT_REGION)
    if not phones:
        texts = ["{}"] * len(asked)
    return [(one.xwho, as_json(one.values), text) for one, text in zip(asked, texts, strict=True)]
