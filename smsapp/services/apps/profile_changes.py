"""What becomes of the contacts of some records: gathered while operations are carried out, written once."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from smsapp.domain import trust
from smsapp.domain.contact import Properties
from smsapp.domain.key_undo import Replacement
from smsapp.domain.key_watch import NAME_PROPERTIES, Measure
from smsapp.domain.profile_operation import Kind, Operation, merged
from smsapp.services.apps.key_record import KeyRecord
from smsapp.store.apps.key_journal import Replaced
from smsapp.store.contacts import contacts, property_catalogue, successors
from smsapp.store.contacts.contacts import Profile, StoredContact
from smsapp.store.db import as_json
from smsapp.store.settings import settings

NOBODY = StoredContact({})


class ProfileConflict(Exception):
    """Somebody else has applied these uploads, or created one of their contacts, meanwhile: nothing was changed."""


@dataclass
class ProfileChange:
    """What becomes of the contacts of some records."""

    before: Mapping[str, StoredContact]
    held: dict[str, Properties]
    keys: Mapping[str, str]
    """{source of what a key writes: AppKey}"""
    written: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """{user id: {property: source of what was written}}"""
    registered: set[str] = field(default_factory=set)
    """Ids about which something was reported that did not call the person anonymous."""
    gone: dict[str, str] = field(default_factory=dict)
    """{anonymous id: the contact that takes over what it held}"""
    erased: dict[str, str] = field(default_factory=dict)
    """{user id: source of the key that erased all it held}"""

    def note(self, xwho: str, asked: Operation, source: str) -> None:
        """Note who writes the values of an operation, before it is carried out."""
        held = self.held.get(xwho) if asked.kind is Kind.SET_ONCE else None
        names = asked.values if not held else asked.values.keys() - held.keys()
        self.written[xwho].update(dict.fromkeys(names, source))

    def keep(self, xwho: str, kind: Kind, after: Properties, source: str) -> None:
        """Keep what a contact holds after an operation: of whom nothing was known there is no empty contact."""
        if kind is Kind.DELETE:
            self.held.pop(xwho, None)
            self.erased[xwho] = source
        elif after or xwho in self.held:
            self.held[xwho] = after

    def take_over(self, anonymous: str, xwho: str, after: Properties, source: str) -> Properties:
        """Return what a person holds who was known under an anonymous id; the values keep their sources.

        `source` is that of the key that says so.
        """
        self.gone[anonymous] = xwho
        self.erased[anonymous] = source
        theirs = self.held.pop(anonymous, {})
        traces = {**self.before.get(anonymous, NOBODY).sources, **self.written.pop(anonymous, {})}
        taken = theirs.keys() - after.keys()
        self.written[xwho].update({name: traces[name] for name in taken if name in traces})
        return merged(after, theirs)

    def writer(self, xwho: str, name: str) -> str:
        """Return the AppKey that has written or erased this value in these records, "" if none has."""
        source = self.written.get(xwho, {}).get(name) or self.erased.get(xwho, "")
        return self.keys.get(source, "")


def write(session: Session, change: ProfileChange, now: dt.datetime, record: KeyRecord) -> None:
    """Write the contacts that are new or changed, and remove those of which nothing is left."""
    names, region = property_catalogue.phone_properties(session), settings().DEFAULT_REGION
    before, profiles = change.before, []
    for xwho, properties in change.held.items():
        contact = before.get(xwho, NOBODY)
        written = change.written.get(xwho)
        sources = trust.traced(contact.sources, written, contact.properties, properties) if written else contact.sources
        anonymous = contact.anonymous and xwho not in change.registered
        if properties != contact.properties or sources != contact.sources or anonymous is not contact.anonymous:
            sources = {name: text for name, text in sources.items() if name in properties}
            numbers = contacts.phones_of(properties, names, region)
            profiles.append(Profile(xwho, properties, numbers, sources, anonymous))
    fresh = [profile for profile in profiles if profile.xwho not in before and profile.xwho not in change.gone]
    if contacts.create(session, fresh, now) < len(fresh):
        raise ProfileConflict
    changed = [profile for profile in profiles if profile.xwho in before and profile.xwho not in change.gone]
    contacts.replace(session, changed, now)
    successors.absorb(session, change.gone)
    # An id that was bound by a public key and reported as registered since is a contact of its own.
    contacts.create(session, [profile for profile in profiles if profile.xwho in change.gone], now)
    removed = before.keys() - change.held.keys() - change.gone.keys()
    contacts.remove(session, removed)
    replaced = _Gathered()
    for profile in profiles:
        _record(record, replaced, change, profile)
    for xwho in (removed | change.gone.keys()) & before.keys():
        _record_removal(record, replaced, change, xwho)
    for (key, how, listed), people in replaced.items():
        columns = [[values[name] for _, values, _ in people] for name in listed]
        texts = [json.dumps(traces) for _, _, traces in people]
        record.replaced(key, Replaced([xwho for xwho, _, _ in people], listed, columns, texts, how))


class _Gathered(defaultdict[tuple[str, Replacement, tuple[str, ...]], list[tuple[str, Properties, dict[str, str]]]]):
    """What contacts held of the same properties before: {(AppKey, how, properties): (user id, values, sources)}."""

    def __init__(self) -> None:
        super().__init__(list)


def _record(record: KeyRecord, replaced: _Gathered, change: ProfileChange, profile: Profile) -> None:
    """Tell what keys have changed of a contact, and what was there before."""
    before = change.before.get(profile.xwho)
    held, earlier = (before.properties, before.sources) if before is not None else ({}, {})
    names: dict[tuple[str, Replacement], list[str]] = defaultdict(list)
    for name in sorted(held.keys() | profile.properties.keys()):
        key = change.writer(profile.xwho, name)
        old, new = held.get(name), profile.properties.get(name)
        if not key or (old == new and earlier.get(name) == profile.sources.get(name)):
            continue
        if name in held:
            names[key, Replacement.CHANGED if name in profile.properties else Replacement.UNSET].append(name)
        if old == new:
            continue
        if before is not None:
            record.count(key, Measure.CHANGED, name)
        if profile.phones.get(name):
            record.numbers(key, [as_json({name: profile.phones[name]})])
        if name in NAME_PROPERTIES:
            record.names(key, [profile.properties])
    for (key, how), listed in names.items():
        sources = {name: earlier[name] for name in listed if name in earlier}
        replaced[key, how, tuple(listed)].append((profile.xwho, dict(held), sources))


def _record_removal(record: KeyRecord, replaced: _Gathered, change: ProfileChange, xwho: str) -> None:
    """Tell what a contact held that is deleted, or whose id now belongs to another one."""
    held, sources, _ = change.before[xwho]
    key = change.keys.get(change.erased.get(xwho, ""), "")
    if key:
        record.count(key, Measure.ERASED, "")
        replaced[key, Replacement.ERASED, tuple(sorted(held))].append((xwho, dict(held), dict(sources)))
