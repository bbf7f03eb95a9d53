"""What usual records set, written by column: the rows of contacts that are new or changed."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter, ne
from typing import Any

import orjson
from sqlalchemy.orm import Session

from smsapp.domain import trust
from smsapp.services.apps.plain_sets import PlainSets
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
) -> tuple[int, int]:
    """Write what is new or changed; return how many contacts should have been new, and how many were.

    `held` is what the contacts hold that exist, locked; `sources` the source of each AppKey's values; `phones` the
    properties that hold phones.
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
        ids, changed = _changed(traces, key, names, people)
        contact_rows.overwrite_rows(session, ids, _rows(phones, changed, region), now)
    fresh.sort(key=itemgetter(0))
    return len(fresh), contact_rows.create_rows(session, _rows(phones, fresh, region), now)


def _changed(
    traces: _Traces, key: str, names: tuple[str, ...], people: Sequence[tuple[str, dict[str, Any], HeldRow]]
) -> tuple[list[int], list[tuple[str, Mapping[str, Any], str]]]:
    """Return the rows' numbers and what they hold from now on, of those people who do not hold all of it already.

    A key has reported values of these names of each of them (user id, values, what is held). What is held is changed.
    """
    befores = [held[0] for _, _, held in people]
    reported = [values for _, values, _ in people]
    differing = [map(ne, [held.get(name) for held in befores], map(itemgetter(name), reported)) for name in names]
    ids: list[int] = []
    changed: list[tuple[str, Mapping[str, Any], str]] = []
    after = traces.after
    news: Iterable[tuple[bool, ...]] = zip(*differing, strict=True) if names else repeat(())
    for (xwho, values, (properties, written, anonymous, id_)), new in zip(people, news, strict=False):
        text, differs = after(written, key, names, new)
        if differs or anonymous or True in new:
            properties.update(values)
            ids.append(id_)
            changed.append((xwho, properties, text))
    return ids, changed


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
