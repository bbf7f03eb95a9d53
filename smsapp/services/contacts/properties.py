"""The catalogue of properties: type, label, use, and changes of a property of all contacts.

A change of type, a merge and a removal are jobs: chunks of CHUNK contacts, a transaction each; an interrupted job goes
on where it was.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import phone, property_change, property_labels
from smsapp.domain.contact import MAX_NAME, PRESETS, Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.property_change import ASIDE, ChangeKind, ChangeState, Winner, converted
from smsapp.domain.rights import Right
from smsapp.domain.writing import written
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.clock import Clock
from smsapp.store import queue
from smsapp.store.contacts import audience_values, contacts, property_catalogue
from smsapp.store.contacts import property_changes as store
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.property_changes import PropertyChange, Use
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

NOUN = "property"
CHUNK = 2000
SAMPLED = 10_000
"""Contacts read for the list and for a preview; if there are more, the result says so."""
PLACES = 4
EXAMPLES = 5


def uses(name: str) -> list[Use]:
    """Return what names this property."""
    return store.uses(current_session(), name)


def newest(limit: int = 20) -> list[PropertyChange]:
    """Return the newest changes."""
    return store.newest(current_session(), limit)


@dataclass(frozen=True)
class Line:
    """A property in the list."""

    name: str
    label: str
    type: Type
    held: int
    """How many of the contacts read have a value."""
    doubles: tuple[str, ...]
    """Other properties that mean the same."""
    used: int
    """How many segments, campaigns and channels use it."""


@dataclass(frozen=True)
class Catalogue:
    lines: list[Line]
    looked: int
    whole: bool
    """True if these were all contacts."""


@dataclass(frozen=True)
class Preview:
    """What a change would do, by the contacts read."""

    held: int
    looked: int
    whole: bool
    fit: int = 0
    """RETYPE: values that can be converted. MERGE: contacts that have both."""
    conflicts: int = 0
    """MERGE: contacts with two different values."""
    examples: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """RETYPE: (value, "") that cannot be converted; MERGE: two different values. Not masked: the page masks them."""


def catalogue() -> Catalogue:
    """Return all properties with the number of people who have a value of each."""
    complete = contacts.count_up_to(current_session(), SAMPLED + 1) <= SAMPLED
    last_id = 0 if complete else contacts.last_id(current_session())
    places = 1 if complete else PLACES
    n_contacts, n_by_name = 0, Counter[str]()
    for place in range(places):
        n, n_in_place = audience_values.count_values(
            current_session(), contacts.all_ids(), last_id * place // places, SAMPLED // places
        )
        n_contacts += n
        n_by_name.update(n_in_place)
    doubles = property_labels.doubles(property_catalogue.labels(current_session()))
    lines = [
        Line(
            row.name,
            row.label,
            Type(row.type),
            n_by_name[row.name],
            tuple(doubles.get(row.name, ())),
            len(uses(row.name)),
        )
        for row in property_catalogue.properties(current_session())
    ]
    return Catalogue(lines, n_contacts, complete)


def get(name: str) -> Property:
    """Return the property; raises NotFound."""
    row = current_session().get(Property, name)
    if row is None or row.merged_into is not None:
        raise NotFound(NOUN)
    return row


def examples(name: str) -> list[str]:
    """Return values as they are written in a text, not masked: the page masks them."""
    return list(dict.fromkeys(written(value, None) for value in store.sample(current_session(), name, EXAMPLES)))


def busy(name: str) -> PropertyChange | None:
    """Return the unfinished change of this property, or None."""
    return next(
        (change for change in store.open_changes(current_session()) if name in (change.name, change.target)), None
    )


def rename(name: str, label: str, by: Actor, now: dt.datetime) -> None:
    """Give a property another label; raises Refusal for one that another property has."""
    require(by, Right.PROPERTIES_WRITE)
    label = label.strip()
    if len(label) > MAX_NAME:
        raise Refusal(Problem("property_label_long", "label", {"most": MAX_NAME}))
    with writing() as session:
        row = get(name)
        other_labels = {other: text for other, text in property_catalogue.labels(session).items() if other != name}
        namesakes = [
            other
            for other, text in other_labels.items()
            if label and property_labels.plain(text) == property_labels.plain(label)
        ]
        if namesakes:
            raise Refusal(Problem("property_label_taken", "label", {"name": namesakes[0]}))
        row.label = label
        audit_log.log_action(session, by, "edit", NOUN, None, now, name=name, text=label)


def preview_retype(name: str, kind: Type) -> Preview:
    """Return how many values can be converted, and examples of those that cannot."""
    values = store.sample(current_session(), get(name).name, SAMPLED)
    unfit = [value for value in values if converted(value, kind) is None]
    texts = list(dict.fromkeys(written(value, None) for value in unfit))[:EXAMPLES]
    complete = len(values) < SAMPLED
    return Preview(
        len(values), len(values), complete, len(values) - len(unfit), examples=[(text, "") for text in texts]
    )


def preview_merge(name: str, target: str) -> Preview:
    """Return how many contacts have both, with two different values, and examples of these."""
    get(name), get(target)
    pairs = store.conflicts(current_session(), name, target, EXAMPLES)
    return Preview(
        store.count(current_session(), name),
        store.count(current_session(), name),
        True,
        store.count(current_session(), name, target),
        store.count_conflicts(current_session(), name, target),
        [(written(value, None), written(target_value, None)) for value, target_value in pairs],
    )


def preview_removal(name: str) -> Preview:
    """Return how many contacts have a value."""
    n = store.count(current_session(), get(name).name)
    return Preview(n, n, True)


def retype(name: str, kind: Type, by: Actor, now: dt.datetime) -> int:
    """Begin to convert all values; those that cannot be are kept as text in a property of their own. Raises Refusal."""
    require(by, Right.PROPERTIES_WRITE)
    row = get(name)
    if row.type == kind:
        raise Refusal(Problem("property_type_same", "type"))
    _refuse_used(name, {"segment"} if kind is Type.STRING else {"segment", "channel"})
    return _begin(ChangeKind.RETYPE, name, "", kind.value, by, now)


def merge(name: str, target: str, wins: Winner, by: Actor, now: dt.datetime) -> int:
    """Begin to merge `name` into `target`; its uses are renamed once all values are moved. Raises Refusal."""
    require(by, Right.PROPERTIES_WRITE)
    source, into = get(name), get(target)
    if name == target:
        raise Refusal(Problem("property_merge_itself", "target"))
    if source.type != into.type:
        raise Refusal(Problem("property_merge_types", "target", {"name": target, "type": into.type}))
    return _begin(ChangeKind.MERGE, name, target, wins.value, by, now)


def remove(name: str, by: Actor, now: dt.datetime) -> int:
    """Begin to remove a property and all its values; raises Refusal while something uses it."""
    require(by, Right.PROPERTIES_WRITE)
    get(name)
    _refuse_used(name, {"segment", "campaign", "channel"})
    return _begin(ChangeKind.REMOVE, name, "", "", by, now)


def _refuse_used(name: str, nouns: set[str]) -> None:
    if name in PRESETS:
        raise Refusal(Problem("property_preset", "name", {"name": name}))
    blockers = [use for use in uses(name) if use.noun in nouns]
    if blockers:
        names = "、".join(use.name or f"#{use.id}" for use in blockers[:5])
        raise Refusal(Problem("property_used", "name", {"n": len(blockers), "names": names}))


def _begin(kind: ChangeKind, name: str, target: str, detail: str, by: Actor, now: dt.datetime) -> int:
    for property_name in (name, target):
        if property_name and busy(property_name) is not None:
            raise Refusal(Problem("property_busy", "name", {"name": property_name}))
    if name in PRESETS:
        raise Refusal(Problem("property_preset", "name", {"name": name}))
    with writing() as session:
        change = _queued(session, kind, name, target, detail, by.user_id, now)
        if kind is ChangeKind.RETYPE:
            row = session.get_one(Property, name, with_for_update=True)
            property_catalogue.add_properties(
                session, {name + ASIDE: Type.STRING}, now, {name + ASIDE: row.label and f"{row.label} *"}
            )
            row.type = detail
        if kind is ChangeKind.MERGE:
            # From now on values reported under this name are stored in the target.
            session.get_one(Property, name, with_for_update=True).merged_into = target
        audit_log.log_action(session, by, kind.value, NOUN, None, now, name=name, to=target or detail)
    queue.enqueue(queue.PERIODIC, "change_property", change.id)
    return change.id


def _queued(
    session: Session, kind: ChangeKind, name: str, target: str, detail: str, user_id: int | None, now: dt.datetime
) -> PropertyChange:
    change = PropertyChange(
        kind=kind,
        name=name,
        target=target,
        detail=detail,
        state=ChangeState.QUEUED,
        last=contacts.last_id(session),
        created_by=user_id,
        created_at=now,
    )
    session.add(change)
    session.flush()
    return change


def run(change_id: int, clock: Clock) -> None:
    """Change all contacts, a chunk per transaction; two workers take the chunks in turn."""
    while True:
        now = clock()
        with writing() as session:
            change = store.claim(session, change_id)
            if change is None:
                return
            last_id, n_changed = store.rewrite(session, [change.name], change.position, CHUNK, _step(session, change))
            change.changed += n_changed
            change.position = last_id or change.position
            after = _finish(session, change, now) if not last_id else None
        if not last_id:
            if after is not None:
                queue.enqueue(queue.PERIODIC, "change_property", after)
            return


def _step(session: Session, change: PropertyChange) -> Callable[[Any], tuple[Any, Any, Any]]:
    phone_names = property_catalogue.phone_properties(session)
    if change.name in phone_names:
        phone_names |= {change.target}
    region = settings().DEFAULT_REGION

    def step(row: Any) -> tuple[Any, Any, Any]:
        before = row.properties
        after = _after(change, before)
        changed_names: Sequence[str] = [name for name in {*before, *after} if before.get(name) != after.get(name)]
        numbers = {name: number for name, number in row.phones.items() if name not in changed_names}
        for name in changed_names:
            if name in phone_names and after.get(name) not in (None, ""):
                numbers[name] = phone.normalise(after[name], region)
        sources = {name: origin for name, origin in row.sources.items() if name in after}
        if change.name in row.sources:
            sources |= {name: row.sources[change.name] for name in changed_names if name in after}
        return after, numbers, sources

    return step


def _after(change: PropertyChange, before: dict[str, Any]) -> dict[str, Any]:
    if change.kind == ChangeKind.RETYPE:
        return property_change.retyped(before, change.name, Type(change.detail))
    if change.kind == ChangeKind.MERGE:
        properties = property_change.merged(before, change.name, change.target, Winner(change.detail))
        # The old value stays until everything uses the new property.
        return properties | ({change.name: before[change.name]} if change.name in before else {})
    return property_change.removed(before, change.name)


def _finish(session: Session, change: PropertyChange, now: dt.datetime) -> int | None:
    """End a change; return the id of the change that follows it, or None."""
    change.state, change.finished_at = ChangeState.DONE, now
    row = session.get(Property, change.name)
    if change.kind == ChangeKind.MERGE:
        store.replace_uses(session, change.name, change.target)
        return _queued(session, ChangeKind.REMOVE, change.name, "", "", change.created_by, now).id
    if change.kind == ChangeKind.REMOVE and row is not None and row.merged_into is None:
        session.delete(row)
    return None


def has_work(_now: dt.datetime) -> bool:
    """Return whether a change is unfinished."""
    return bool(store.open_changes(current_session()))


def sweep() -> int:
    """Enqueue unfinished changes again; return how many."""
    unfinished = store.open_changes(current_session())
    for change in unfinished:
        queue.enqueue(queue.PERIODIC, "change_property", change.id)
    return len(unfinished)
