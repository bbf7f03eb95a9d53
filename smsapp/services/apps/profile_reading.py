"""What the records of uploads ask for: the usual ones read by column, the others one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.contact import MAX_CATALOGUE, Type
from smsapp.domain.profile_operation import LIBRARY_FIELDS, Operation, without
from smsapp.domain.property_labels import reported_as
from smsapp.domain.rejection import Loss, Reason, Unfit, excerpt
from smsapp.services.apps import plain_sets
from smsapp.services.apps.key_gate import KeyGate
from smsapp.services.apps.plain_sets import PlainSets
from smsapp.store.apps.app_keys import Bad
from smsapp.store.contacts import property_catalogue
from smsapp.store.db import as_json, current_session

BROKEN = "$broken"
"""In a stored record: the text of one that is no JSON."""
MOST_KEPT = 1000
"""So many refused records of one transaction are kept one by one; the others are counted."""


@dataclass
class Report:
    """What became of the records of some uploads."""

    applied: int = 0
    ignored: int = 0
    """Records that asked to be checked only."""
    refused: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    """Of the refused: those that are only counted, by reason."""
    left_out: int = 0
    """Applied without some of their properties."""
    created: Counter[str] = field(default_factory=Counter)
    """New contacts by AppKey."""

    @property
    def records(self) -> int:
        """How many there were."""
        return self.applied + self.ignored + self.refused

    def add(self, other: Report) -> None:
        """Add what became of others."""
        self.applied += other.applied
        self.ignored += other.ignored
        self.refused += other.refused
        self.left_out += other.left_out
        self.counted.update(other.counted)
        self.created.update(other.created)


@dataclass
class Reading:
    """Records, read with what was known about properties at that moment."""

    types: dict[str, Type]
    wanted: list[tuple[Operation, str, Any]] = field(default_factory=list)
    """Operation, AppKey, record as it came."""
    fresh: dict[str, Type] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refused records by AppKey and reason."""
    keys: set[str] = field(default_factory=set)
    gate: KeyGate = field(default_factory=lambda: KeyGate({}, {}))
    room: dict[str, int] = field(default_factory=dict)
    """{AppKey: contacts that it may create}"""
    report: Report = field(default_factory=Report)
    plain: PlainSets = field(default_factory=PlainSets)
    """The usual records, which are not in `wanted`."""
    rest: Sequence[dict[str, Any]] = ()
    """The other records."""

    def again(self, read: Reading, plain: PlainSets | None = None) -> Reading:
        """Return what was read another time, with what does not depend on that."""
        read.report.counted, read.room, read.rest = self.report.counted, self.room, self.rest
        read.plain = self.plain if plain is None else plain
        read.keys |= self.keys
        return read


def read_all(
    records: Sequence[dict[str, Any]], named: Collection[str], types: Mapping[str, Type], gate: KeyGate
) -> Reading:
    """Read the usual records by column and the others one by one; `named` are their keys."""
    free = {key for key in named if gate.is_free(key)}
    usual = {name: kind for name, kind in types.items() if not gate.is_public_name(name)}
    plain, rest = plain_sets.divided(records, usual, free)
    read = read_records(rest, types, gate)
    read.plain, read.rest = plain, rest
    read.keys |= set(plain.keys.values())
    return read


def read_records(
    records: Sequence[dict[str, Any]], types: Mapping[str, Type], gate: KeyGate, full: Collection[str] = ()
) -> Reading:
    """Read the records; of properties in `full`, for which the catalogue has no room, nothing is taken."""
    read = Reading(dict(types), gate=gate)
    known, wanted = read.types, read.wanted
    meant: dict[str, str | None] = dict(property_catalogue.redirects(current_session()))
    for record in records:
        key = record["appid"]
        read.keys.add(key)
        try:
            if BROKEN in record:
                raise Unfit(Reason.BROKEN)
            asked = gate.operation(_with_known_names(record, known, meant), key, known)
        except Unfit as unfit:
            refuse(read, record, unfit, key)
            continue
        if asked is None or not asked.is_stored:
            read.report.ignored += 1
            if asked is not None and asked.losses:
                wanted.append((asked, key, record))
            continue
        if not asked.types.keys() <= known.keys():
            if full:
                asked = _without_full(asked, full)
            for name in asked.types.keys() - known.keys():
                known[name] = read.fresh[name] = asked.types[name]
        wanted.append((asked, key, record))
    if gate.vouched:
        read.wanted = [(gate.as_vouched(asked), key, record) for asked, key, record in wanted]
    return read


def _with_known_names(
    record: dict[str, Any], known: Mapping[str, Type], meant: dict[str, str | None]
) -> dict[str, Any]:
    """Return the record with each new name that means a known property under that property's name.

    `meant` remembers what names mean; it begins with those of properties that were merged into others.
    """
    context = record.get("xcontext")
    if not isinstance(context, dict) or not (new := context.keys() - known.keys() - LIBRARY_FIELDS):
        return record
    names = {name: name.lower() for name in new if isinstance(name, str)}
    unknown = {name for name in names.values() if name not in known}
    if not unknown <= meant.keys():
        labels = property_catalogue.labels(current_session())
        meant |= {name: reported_as(name, labels) for name in unknown - meant.keys()}
    laid = {raw: target for raw, name in names.items() if (target := meant.get(name)) and target not in context}
    if not laid:
        return record
    return record | {"xcontext": {laid.get(name, name): value for name, value in context.items()}}


def _without_full(asked: Operation, full: Collection[str]) -> Operation:
    """Return the operation without properties for which the catalogue has no room."""
    facts = {"limit": MAX_CATALOGUE}
    asked.losses += [
        Loss(Reason.TOO_MANY_NAMES, name, excerpt(asked.values[name]), {"name": name, **facts})
        for name in sorted(asked.types.keys() & set(full))
    ]
    return without(asked, full)


def refuse(read: Reading, record: dict[str, Any], unfit: Unfit, key: str) -> None:
    """Count a refused record, and keep it with the reason while there are not too many."""
    read.report.refused += 1
    read.refusals[key, unfit.reason] += 1
    if len(read.bad) < MOST_KEPT:
        raw = record.get(BROKEN)
        read.bad.append(Bad(unfit.reason, str(raw) if raw is not None else as_json(record), unfit.facts, key))
