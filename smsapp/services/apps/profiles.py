"""Profiles that apps report: what stored uploads ask for, applied in order and in bulk.

Reading (`services/apps/profile_reading.py`) is done before the transaction; only what depends on what contacts hold is
done in it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import ark, trust
from smsapp.domain.key_watch import Measure
from smsapp.domain.profile_operation import Kind, Operation, applied
from smsapp.domain.rejection import Loss, Reason, Unfit
from smsapp.services.apps import plain_set_rows, plain_sets, profile_changes, profile_reading, quotas
from smsapp.services.apps.key_gate import KeyGate
from smsapp.services.apps.key_record import KeyRecord
from smsapp.services.apps.plain_sets import PlainSets
from smsapp.services.apps.profile_changes import ProfileChange, ProfileConflict
from smsapp.services.apps.profile_reading import Reading, Report
from smsapp.store.apps import app_keys, uploads
from smsapp.store.apps.app_keys import Bad
from smsapp.store.apps.uploads import Upload
from smsapp.store.contacts import consents, contact_rows, contacts, property_catalogue, public_names
from smsapp.store.contacts.aliases import add_bindings, bindings, public_bindings
from smsapp.store.db import as_json, current_session, writing
from smsapp.store.settings import settings

UP = "up"
"""Where a refused record came from: the upload protocol."""
MOST_LOSSES = 20
"""So many of a record's lost properties are named."""
MORE = "more"
"""The reason of the one line that counts them."""


def apply(rows: Sequence[Upload], now: dt.datetime) -> Report | None:
    """Apply stored uploads in one transaction, in order; None if another process is at it.

    Good records are applied and bad ones kept with the reason. Raises ProfileConflict; then try again.
    """
    records: list[dict[str, Any]] = []
    named: set[str] = set()
    for row in rows:
        of_row = ark.parsed(row.records)
        named.update([record["appid"] for record in of_row])
        records += of_row
    rights = app_keys.key_rights(current_session(), named)
    read = profile_reading.read_all(
        records,
        named,
        property_catalogue.property_types(current_session()),
        KeyGate(rights, public_names.owners(current_session())),
    )
    for row in rows:
        read.report.counted.update(row.counted)
    room = quotas.room_for_contacts({key.id: key.rights.kind for key in rights.values()}, now)
    read.room = {key.key: room[key.id] for key in rights.values()}
    with writing() as session:
        if not uploads.only_reader(session):
            return None
        if not uploads.mark_applied(session, rows):
            raise ProfileConflict
        known = property_catalogue.add_properties(session, read.fresh, now, public=read.gate.brought)
        if known != read.fresh:
            # Somebody else was first to bring one of these properties and saw another type, or no more may be added.
            full = read.fresh.keys() - known.keys()
            types = {name: kind for name, kind in read.types.items() if name not in full}
            read = read.again(
                profile_reading.read_records(
                    read.rest, types | known, KeyGate(rights, public_names.owners(session)), full
                )
            )
        public_names.mark_trusted(session, read.gate.vouched)
        brought = KeyRecord()
        if not _write_plain(session, read, now, brought):
            anew = profile_reading.read_records(records, read.types, KeyGate(rights, public_names.owners(session)))
            read = read.again(anew, plain=PlainSets())
        written = _apply(session, read, now, brought) if read.wanted else {}
        _note_consents(session, read.plain.values, written, now)
        _report_losses(session, read, now)
        if read.keys:
            app_keys.touch_keys(session, read.keys, now)
        _count(brought, read)
        brought.write(session, {key.key: key.id for key in rights.values()}, now)
    created = read.report.created
    quotas.note_new_contacts({key.id: created[key.key] for key in rights.values() if key.key in created}, now)
    return read.report


def _note_consents(
    session: Session, plain: Mapping[str, Collection[str]], written: Mapping[str, Collection[str]], now: dt.datetime
) -> None:
    """Record what the declared property says of those people of whom it was written: {user id: properties}."""
    declaration = consents.declared(session)
    if declaration is not None:
        people = {xwho for values in (plain, written) for xwho, names in values.items() if declaration.name in names}
        consents.note_values(session, declaration, people, now)


def put_aside(row: Upload, now: dt.datetime) -> Report:
    """Keep an upload that cannot be applied among the refused records, whatever is wrong with it."""
    with writing() as session:
        if not (uploads.only_reader(session) and uploads.mark_applied(session, [row])):
            return Report()
        raw = row.records.decode("utf-8", "replace")
        app_keys.add_bad_records(session, UP, [Bad(Reason.BAD_RECORD, raw)], now)
    return Report(refused=1)


def _together(plain: PlainSets, read: Reading) -> Iterator[tuple[PlainSets, Collection[str]]]:
    """Return what is written together, and the people who are locked for it.

    On SQLite, which needs no locks, that are some hundred people, whose values stay in the processor's cache; all of
    them only if the room for new contacts could be too small.
    """
    counted = Counter(plain.keys.values())
    if contact_rows.locks() or any(n > read.room.get(key, n) for key, n in counted.items()):
        # All locks at once, in one order; those of the other records are held until their turn.
        yield plain, plain.values.keys() | {asked.xwho for asked, _, _ in read.wanted}
        return
    people = list(plain.values)
    for begin in range(0, len(people), plain_sets.AT_ONCE):
        some = {xwho: plain.values[xwho] for xwho in people[begin : begin + plain_sets.AT_ONCE]}
        yield PlainSets(some, plain.keys), some


def _count(brought: KeyRecord, read: Reading) -> None:
    """Count what is known of each key once everything is applied."""
    for key, n in read.report.created.items():
        brought.count(key, Measure.CREATED, "", n)
    for (key, reason), n in read.refusals.items():
        brought.count(key, Measure.REFUSED, reason, n)
    for (key, name), n in read.gate.proposed().items():
        brought.count(key, Measure.PROPOSED, name, n)
    for asked, key, _ in read.wanted:
        for loss in asked.losses:
            brought.count(key, Measure.REFUSED, loss.reason)


def _write_plain(session: Session, read: Reading, now: dt.datetime, brought: KeyRecord) -> bool:
    """Write what usual records set; return False, with nothing written, if it takes a look at each of them."""
    plain = read.plain
    if not plain.values:
        return True
    if bindings(session, plain.values):
        return False
    region, phones = settings().DEFAULT_REGION, property_catalogue.phone_properties(session)
    sources = {key: read.gate.source(key, now) for key in read.keys}
    created: Counter[str] = Counter()
    for some, people in _together(plain, read):
        held = contact_rows.lock_rows(session, people)
        new = plain_set_rows.new_contacts(some, held.keys())
        if any(n > read.room.get(key, n) for key, n in new.items()):
            return False
        wanted, really = plain_set_rows.write(session, some, held, sources, phones, region, now, brought)
        if really < wanted:
            raise ProfileConflict
        created.update(new)
    read.report.applied += plain.count
    for key, n in created.items():
        read.report.created[key] += n
        read.room[key] = read.room.get(key, n) - n
    return True


def _apply(session: Session, read: Reading, now: dt.datetime, brought: KeyRecord) -> Mapping[str, Collection[str]]:
    """Carry out the operations in order on what the contacts hold, then write each changed contact once.

    Return {user id: properties that were written}.
    """
    gate = read.gate
    aliases = [asked for asked, _, _ in read.wanted if asked.kind is Kind.ALIAS]
    ids = {asked.xwho for asked, _, _ in read.wanted} | {asked.original_id for asked in aliases}
    known = bindings(session, ids, {id_ for asked in aliases for id_ in (asked.xwho, asked.original_id)})
    public = public_bindings(session, known)
    before = contacts.lock(session, {known.get(xwho, xwho) for xwho in ids} | public)
    fresh: dict[str, str] = {}
    if aliases:
        allowed = gate.aliases([(asked, key) for asked, key, _ in read.wanted], known, before)
        fresh = _bind(session, allowed, known, public, now)
    sources = {key: gate.source(key, now) for key in read.keys}
    change = ProfileChange(
        before,
        {xwho: contact.properties for xwho, contact in before.items()},
        {source: key for key, source in sources.items()},
    )
    held = change.held
    free = {key: gate.is_free(key) for key in read.keys}
    for asked, key, record in read.wanted:
        if not asked.is_stored:
            continue
        xwho = known.get(asked.xwho, asked.xwho)
        if asked.xwho in public and not trust.leads_on(asked, binding_trusted=False):
            xwho = asked.xwho
        properties = held.get(xwho)
        through = asked if free[key] else gate.let_through(asked, key, xwho, properties)
        after = applied(properties or {}, through) if through is not None else {}
        if properties is None and after and not _may_create(read, key):
            profile_reading.refuse(read, record, Unfit(Reason.QUOTA, limit=gate.most_contacts(key)), key)
            continue
        read.report.applied += 1
        if not asked.anonymous:
            change.registered.add(xwho)
        if through is None:
            continue
        if through.values:
            change.note(xwho, through, sources[key])
        anonymous = through.original_id
        if anonymous and anonymous not in known and fresh.get(anonymous) == asked.xwho:
            known[anonymous] = xwho
            brought.bound(key, [anonymous])
            after = change.take_over(anonymous, xwho, after, sources[key])
        change.keep(xwho, through.kind, after, sources[key])
    profile_changes.write(session, change, now, brought)
    gate.propose(session, now)
    return change.written


def _may_create(read: Reading, key: str) -> bool:
    """Say whether one more contact fits into the quota of this key, and count it."""
    room = read.room.get(key, 1)
    if room <= 0:
        return False
    read.room[key] = room - 1
    read.report.created[key] += 1
    return True


def _bind(
    session: Session,
    allowed: Sequence[tuple[Operation, bool]],
    known: Mapping[str, str],
    public: set[str],
    now: dt.datetime,
) -> dict[str, str]:
    """Bind anonymous ids to registered ones, one to one, where neither side is bound yet; return the new bindings.

    Those of public keys are added to `public`.
    """
    taken = {*known, *known.values()}
    wanted: dict[str, str] = {}
    for operation, trusted in allowed:
        if operation.original_id != operation.xwho and not taken & {operation.original_id, operation.xwho}:
            wanted[operation.original_id] = operation.xwho
            taken |= {operation.original_id, operation.xwho}
            if not trusted:
                public.add(operation.original_id)
    if not wanted:
        return wanted
    add_bindings(session, wanted, public, now)
    really = bindings(session, wanted)
    return {anonymous: xwho for anonymous, xwho in wanted.items() if really.get(anonymous) == xwho}


def _report_losses(session: Session, read: Reading, now: dt.datetime) -> None:
    """Keep what was refused or left out, with the reason."""
    report = read.report
    for asked, key, record in read.wanted:
        if asked.losses:
            report.left_out += asked.is_stored
            if len(read.bad) < profile_reading.MOST_KEPT:
                read.bad.append(Bad(asked.losses[0].reason, as_json(record), _facts(asked.losses), key))
    more = report.refused + report.left_out - len(read.bad)
    bad = [*read.bad, Bad(MORE, "", {"n": more})] if more > 0 else read.bad
    report.refused += report.counted.total()
    bad = [*bad, *(Bad(reason, "", {"n": n}) for reason, n in report.counted.items())]
    app_keys.add_bad_records(session, UP, bad, now)


def _facts(losses: Sequence[Loss]) -> dict[str, Any]:
    """Return the facts of a record whose first loss gives the reason, and of which the others are listed."""
    first, *others = losses[:MOST_LOSSES]
    facts = {"name": first.name, "value": first.value, **first.facts}
    if others:
        facts["others"] = [
            {"name": loss.name, "reason": loss.reason.value, "value": loss.value, **loss.facts} for loss in others
        ]
    return facts
