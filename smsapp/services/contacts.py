"""Contacts: profiles that apps report, the list and the page of a contact, and the numbers read from properties."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain import contact as rules
from smsapp.domain import phone
from smsapp.domain.contact import Kind, Operation, Properties, Reason, Type, Unfit
from smsapp.domain.errors import NotFound
from smsapp.store import contacts, intake, queue, replies
from smsapp.store.contacts import Contact, Profile, Property
from smsapp.store.db import as_json, session, writing
from smsapp.store.intake import Bad, BadRecord
from smsapp.store.settings import settings

UP = "up"
"""Where a refused record came from: the upload protocol."""
MOST_KEPT = 1000
"""So many refused records of one request are kept one by one; the others are counted."""
MORE = "more"
"""The reason of the one line that counts them."""
COUNTED = (Reason.BAD_APPID, Reason.NO_OBJECT)
"""What anybody may send: nothing of it is kept, one line counts it, at most once in COUNTED_EVERY."""
COUNTED_EVERY = dt.timedelta(minutes=1)
BAD_RECORD_DAYS = 7
"""As long as Ark keeps its error queue."""
PAGE = 50
REBUILD_CHUNK = 5000


@dataclass
class Report:
    """What became of the records of one request."""

    kept: int = 0
    ignored: int = 0
    """Events that are no profile operations, and records that asked to be checked only."""
    refused: int = 0
    counted: Counter[Reason] = field(default_factory=Counter)
    """Of the refused: those that are only counted, by reason."""
    left_out: int = 0
    """Kept without some of their properties."""

    @property
    def strangers(self) -> int:
        """Of the refused: those without a valid AppKey."""
        return self.counted[Reason.BAD_APPID]


@dataclass
class _Reading:
    """Records of one request, read with what was known about properties at that moment."""

    types: dict[str, Type]
    wanted: list[tuple[Operation, Any]] = field(default_factory=list)
    fresh: dict[str, Type] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    report: Report = field(default_factory=Report)


def upload_limits() -> tuple[int, int]:
    """Return the most bytes of an upload as it comes and after unfolding."""
    return settings().UP_MAX_MB * 2**20, settings().UP_MAX_INFLATED_MB * 2**20


def report(records: Sequence[object], appid: str, now: dt.datetime) -> Report:
    """Take reported records in one transaction: the good ones are applied in order, the bad ones kept with the reason.

    `appid` counts for records that name none. Two requests about the same person are applied one after the other.
    Of records without an active AppKey, which anybody may send, nothing is kept but their number.
    """
    keys = intake.active_keys(session())
    read = _read(records, appid, keys, contacts.property_types())
    counted = [
        Bad(reason, "", {"n": n})
        for reason, n in read.report.counted.items()
        if not intake.is_counted(UP, reason, now - COUNTED_EVERY)
    ]
    if not (read.keys or counted):
        return read.report
    with writing() as current:
        found = contacts.add_properties(current, read.fresh, now)
        if found != read.fresh:
            # Another request was first to see one of these properties and saw another type, or no more may be added.
            full = read.fresh.keys() - found.keys()
            known = {name: kind for name, kind in read.types.items() if name not in full}
            read = _read(records, appid, keys, known | found, full)
        _apply(current, read, now)
        intake.add_bad(current, UP, [*_bounded(read), *counted], now)
        if read.keys:
            intake.touch_keys(current, read.keys, now)
    return read.report


def _read(
    records: Sequence[object],
    appid: str,
    keys: set[str],
    types: Mapping[str, Type],
    full: Collection[str] = (),
) -> _Reading:
    """Read the records; of properties in `full`, for which the catalogue has no room, nothing is taken."""
    read = _Reading(dict(types))
    for record in records:
        key = str(record.get("appid") or appid) if isinstance(record, dict) else appid
        try:
            if isinstance(record, dict) and key not in keys:
                raise Unfit(Reason.BAD_APPID)
            if isinstance(record, dict):
                read.keys.add(key)
            asked = rules.operation(record, read.types)
        except Unfit as unfit:
            _refuse(read, record, unfit, key)
            continue
        if asked is None or not asked.kept:
            read.report.ignored += 1
            continue
        if left_out := asked.types.keys() & full:
            read.report.left_out += 1
            if len(read.bad) < MOST_KEPT:
                told = {"name": min(left_out), "limit": rules.MAX_CATALOGUE}
                read.bad.append(Bad(Reason.TOO_MANY_NAMES, as_json(record), told, key))
            asked = rules.without(asked, left_out)
        for name, kind in asked.types.items():
            if name not in read.types:
                read.types[name] = read.fresh[name] = kind
        read.wanted.append((asked, record))
    return read


def _refuse(read: _Reading, record: object, unfit: Unfit, key: str) -> None:
    read.report.refused += 1
    if unfit.reason in COUNTED:
        read.report.counted[unfit.reason] += 1
    elif len(read.bad) < MOST_KEPT:
        read.bad.append(Bad(unfit.reason, as_json(record), unfit.facts, key))


def _apply(current: Session, read: _Reading, now: dt.datetime) -> None:
    """Carry out the operations in order on what the contacts hold, then write each changed contact once."""
    aliases = [asked for asked, _ in read.wanted if asked.kind is Kind.ALIAS]
    ids = {asked.xwho for asked, _ in read.wanted} | {asked.original_id for asked in aliases}
    known = contacts.bound(current, ids)
    fresh = _bind(current, aliases, known, now)
    written = {known.get(xwho, xwho) for xwho in ids}
    held = contacts.lock(current, written | fresh.keys(), written, now)
    changed: set[str] = set()
    gone: dict[str, str] = {}
    for asked, record in read.wanted:
        xwho = known.get(asked.xwho, asked.xwho)
        try:
            after = rules.applied(held.get(xwho, {}), asked)
        except Unfit as unfit:
            _refuse(read, record, unfit, str(record.get("appid") or ""))
            continue
        anonymous = asked.original_id
        if anonymous not in known and fresh.get(anonymous) == asked.xwho:
            known[anonymous] = xwho
            gone[anonymous] = xwho
            after = rules.merged(after, held.pop(anonymous, {}))
            changed.discard(anonymous)
        held[xwho] = after
        changed.add(xwho)
        read.report.kept += 1
    _write(current, {xwho: held[xwho] for xwho in changed}, now)
    contacts.absorb(current, gone)


def _bind(current: Session, asked: Sequence[Operation], known: Mapping[str, str], now: dt.datetime) -> dict[str, str]:
    """Bind anonymous ids to registered ones, one to one, where neither side is bound yet; return the new bindings."""
    taken = {*known, *known.values()}
    wanted: dict[str, str] = {}
    for one in asked:
        if one.original_id != one.xwho and not taken & {one.original_id, one.xwho}:
            wanted[one.original_id] = one.xwho
            taken |= {one.original_id, one.xwho}
    if not wanted:
        return wanted
    contacts.bind(current, wanted, now)
    really = contacts.bound(current, wanted)
    return {anonymous: xwho for anonymous, xwho in wanted.items() if really.get(anonymous) == xwho}


def _write(current: Session, changed: Mapping[str, Properties], now: dt.datetime) -> None:
    names, region = contacts.phone_properties(current), settings().DEFAULT_REGION
    profiles = [Profile(xwho, held, contacts.phones_of(held, names, region)) for xwho, held in sorted(changed.items())]
    contacts.replace(current, profiles, now)


def _bounded(read: _Reading) -> list[Bad]:
    more = read.report.refused + read.report.left_out - read.report.counted.total() - len(read.bad)
    return [*read.bad, Bad(MORE, "", {"n": more})] if more else read.bad


# Pages


@dataclass(frozen=True)
class ContactPage:
    """One page of the list; `older` is the id to go on below, None at the end."""

    rows: list[Contact]
    older: int | None


def listed(search: str = "", before: int | None = None, *, whole_numbers: bool = False) -> ContactPage:
    """Return contacts that fit the search (a number, a user id, a name), newest first.

    `whole_numbers` says whether the reader may see numbers; for others no search tells more than a mask shows.
    """
    rows = contacts.listed(search, settings().DEFAULT_REGION, before, PAGE + 1, whole_numbers=whole_numbers)
    return ContactPage(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def contact(contact_id: int) -> Contact:
    """Return the contact; raise NotFound."""
    found = contacts.contact(contact_id)
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
    known = {row.name: row for row in contacts.properties()}
    phones = contacts.phone_properties(session())
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


def numbers(found: Sequence[Contact]) -> dict[int, dict[str, str]]:
    """Return each contact's numbers by the property that holds them, of those properties that channels read."""
    used = contacts.phone_properties(session())
    return {row.id: {name: number for name, number in row.phones.items() if name in used} for row in found}


def opted_out(found: Sequence[Contact]) -> set[str]:
    """Return those numbers of these contacts to which nobody may write."""
    return replies.opted_out({number for one in found for number in one.phones.values() if number})


def anonymous_ids(found: Contact) -> list[str]:
    """Return the anonymous ids under which this contact was known before."""
    return contacts.anonymous_ids(found.xwho)


def catalogue() -> list[Property]:
    """Return all known properties in the order of names."""
    return contacts.properties()


def bad_records(source: str = "", reason: str = "", appid: str = "", before: int | None = None) -> list[BadRecord]:
    """Return refused records, newest first, at most one page and one more."""
    return intake.bad_records(source, reason, appid, before, PAGE + 1)


def forget_bad_records(now: dt.datetime) -> int:
    """Remove refused records that are older than seven days; return how many went."""
    removed = 0
    while True:
        with writing() as current:
            gone = intake.forget_bad(current, now - dt.timedelta(days=BAD_RECORD_DAYS), REBUILD_CHUNK)
        removed += gone
        if gone < REBUILD_CHUNK:
            return removed


# Numbers


def note_phone_property(current: Session, name: str) -> None:
    """Have the numbers of a property read that a channel begins to use, once the transaction is committed."""

    def ring(_session: Session) -> None:
        queue.ring(queue.CHORES, "rebuild_phones", name)

    sa.event.listen(current, "after_commit", ring, once=True)


def note_left_property(current: Session, name: str) -> None:
    """Have the numbers of a property forgotten, once the transaction is committed, if no channel reads it any more."""
    if name not in contacts.phone_properties(current):
        note_phone_property(current, name)


def rebuild_phones(name: str) -> int:
    """Read the numbers of one property of all contacts anew, a chunk per transaction; return how many were looked at.

    Of a property that no channel reads any more they are forgotten: who has it would seem to have a wrong number.

    It may be cut off and begun again: each chunk is right by itself.
    """
    region = settings().DEFAULT_REGION
    after = seen = 0
    while True:
        with writing() as current:
            used = name in contacts.phone_properties(current)
            rows = contacts.phones_after(current, name, after, REBUILD_CHUNK)
            if not rows:
                return seen
            numbers = [
                (id_, None if not used or value in (None, "") else phone.normalise(value, region))
                for id_, value in rows
            ]
            contacts.set_phones(current, name, numbers)
        after = rows[-1][0]
        seen += len(rows)
