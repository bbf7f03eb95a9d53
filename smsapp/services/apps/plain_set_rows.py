"""What usual records set, written by column: the rows of contacts that are new or changed."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter, ne
from typing import Any, NamedTuple

import orjson
from sqlalchemy.orm import Session

from smsapp.domain import trust
from smsapp.domain.key_watch import NAME_PROPERTIES, Measure
from smsapp.services.apps.key_record import KeyRecord
from smsapp.services.apps.plain_sets import PlainSets
from smsapp.store.apps.key_journal import Replaced
from smsapp.store.contacts import contact_rows, contacts
from smsapp.store.contacts.contact_rows import HeldRow, Row5
from smsapp.store.db import as_json


def write(
    session: Session,
    plain: PlainSets,
    held: Mapping[str, HeldRow],
    sources: Mapping[str, str],
    phones: Collection[str],
    region: str,
    now: dt.datetime,
    record: KeyRecord,
) -> tuple[int, int]:
    """Write what is new or changed; return how many contacts should have been new, and how many were.

    `held` is what the contacts hold that exist, locked; `sources` the source of each AppKey's values; `phones` the
    properties that hold phones; `record` learns what each key brings and replaces.
    """
    traces = _Traces(sources)
    fresh: list[tuple[str, Mapping[str, Any], str]] = []
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[str, dict[str, Any], HeldRow]]] = {}
    key_of = plain.keys
    for xwho, values in plain.values.items():
        row = held.get(xwho)
        if row is not None:
            groups.setdefault((key_of[xwho], tuple(values)), []).append((xwho, values, row))
        elif values:
            fresh.append((xwho, values, traces.of_new(values, key_of[xwho])))
    for (key, names), people in groups.items():
        change = _changed(traces, key, names, people)
        rows = _rows(phones, change.people, region)
        contact_rows.overwrite_rows(session, change.ids, rows, now)
        if rows:
            _record_change(record, key, names, change, rows, phones)
    fresh.sort(key=itemgetter(0))
    rows = _rows(phones, fresh, region)
    by_key: dict[str, list[int]] = {}
    for place, (xwho, _, _) in enumerate(fresh):
        by_key.setdefault(key_of[xwho], []).append(place)
    for key, places in by_key.items():
        record.numbers(key, [rows[place][2] for place in places])
        record.names(key, [fresh[place][1] for place in places])
    return len(fresh), contact_rows.create_rows(session, rows, now)


class _Change(NamedTuple):
    """What becomes of people of whom a key has reported the same properties; only those who are changed by it."""

    ids: list[int]
    """Numbers of their rows."""
    people: list[tuple[str, Mapping[str, Any], str]]
    """User id, properties and sources from now on."""
    new: list[tuple[bool, ...]]
    """Of each property whether its value is another one."""
    before: list[list[Any]]
    """For each property the values of all of them before, None where there was none."""
    sources: list[str]
    """Their sources before, as JSON."""


def _changed(
    traces: _Traces, key: str, names: tuple[str, ...], people: Sequence[tuple[str, dict[str, Any], HeldRow]]
) -> _Change:
    """Return what becomes of those people who do not hold all of it already.

    A key has reported values of these names of each of them (user id, values, what is held). What is held is changed.
    """
    befores = [held[0] for _, _, held in people]
    reported = [values for _, values, _ in people]
    columns = [[held.get(name) for held in befores] for name in names]
    differing = [map(ne, column, map(itemgetter(name), reported)) for name, column in zip(names, columns, strict=True)]
    change = _Change([], [], [], [], [])
    places: list[int] = []
    after = traces.after
    news: Iterable[tuple[bool, ...]] = zip(*differing, strict=True) if names else repeat(())
    for place, ((xwho, values, (properties, written, anonymous, id_)), new) in enumerate(
        zip(people, news, strict=False)
    ):
        text, differs = after(written, key, names, new)
        if differs or anonymous or True in new:
            properties.update(values)
            change.ids.append(id_)
            change.people.append((xwho, properties, text))
            change.new.append(new)
            change.sources.append(written)
            places.append(place)
    change.before.extend([[column[place] for place in places] for column in columns])
    return change


def _record_change(
    record: KeyRecord,
    key: str,
    names: tuple[str, ...],
    change: _Change,
    rows: Sequence[Row5],
    phones: Collection[str],
) -> None:
    """Tell what a key has changed, and what was there before."""
    columns = list(zip(*change.new, strict=True))
    for name, new in zip(names, columns, strict=True):
        record.count(key, Measure.CHANGED, name, sum(new))
        if name in phones:
            record.numbers(key, [row[2] for row, is_new in zip(rows, new, strict=True) if is_new])
        if name in NAME_PROPERTIES:
            values = [{name: held[name]} for (_, held, _), is_new in zip(change.people, new, strict=True) if is_new]
            record.names(key, values)
    record.replaced(key, Replaced([xwho for xwho, _, _ in change.people], names, change.before, change.sources))


def new_contacts(plain: PlainSets, held: Collection[str]) -> Counter[str]:
    """Return how many contacts each AppKey would create."""
    return Counter(plain.keys[xwho] for xwho, values in plain.values.items() if values and xwho not in held)


class _Traces:
    """Sources of contacts as JSON: those of many are the same, and so are made once."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._new: dict[tuple[str, tuple[str, ...]], str] = {}
        self._after: dict[tuple[str, str, tuple[str, ...], tuple[bool, ...]], tuple[str, bool]] = {}

    def of_new(self, values: Mapping[str, Any], key: str) -> str:
        """Return the sources of a new contact's values."""
        made = (key, tuple(values))
        text = self._new.get(made)
        if text is None:
            text = self._new[made] = as_json(dict.fromkeys(values, self._sources[key]))
        return text

    def after(self, text: str, key: str, names: tuple[str, ...], new: tuple[bool, ...]) -> tuple[str, bool]:
        """Return the sources of a contact of which `names` were written, and whether they are others than before.

        `new` says of each name whether its value is another one; the contact has no source of what it does not hold.
        """
        made = (text, key, names, new)
        known = self._after.get(made)
        if known is None:
            earlier = json.loads(text)
            before = {name: name for name, is_new in zip(names, new, strict=True) if not is_new}
            after = dict.fromkeys((*earlier, *names), "") | {name: name for name in names}
            later = trust.traced(earlier, dict.fromkeys(names, self._sources[key]), before, after)
            known = self._after[made] = (as_json(later), later != earlier)
        return known


def _rows(phones: Collection[str], people: Sequence[tuple[str, Mapping[str, Any], str]], region: str) -> list[Row5]:
    """Return rows of contacts (user id, properties, sources), with their phones read by column."""
    if not people:
        return []
    numbers_of = contacts.phone_texts(phones, [held for _, held, _ in people], region)
    return [
        (xwho, orjson.dumps(held).decode(), numbers, sources, False)
        for (xwho, held, sources), numbers in zip(people, numbers_of, strict=True)
    ]
