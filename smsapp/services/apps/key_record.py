"""What AppKeys bring in one transaction: counted for the tallies of the hour, and the values they replace."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import drift, key_watch
from smsapp.domain.drift import LEADING
from smsapp.domain.key_undo import Replacement
from smsapp.domain.key_watch import NAME_PROPERTIES, OTHERS, Measure
from smsapp.store.apps import key_journal, key_tallies
from smsapp.store.apps.key_journal import Replaced

MOST_PREFIXES = 300
"""So many prefixes of one key and hour are counted by name (by each process); the others together."""
_STARTS = re.compile(rf'"(\+[0-9]{{1,{LEADING - 1}}})')
"""The beginnings of numbers in contacts' phones as JSON."""


class KeyRecord:
    """Collects what the keys of one transaction bring, and writes it in a few statements."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Measure, str]] = Counter()
        self._phones: dict[str, list[str]] = {}
        self._names: dict[str, list[str]] = {}
        self._replaced: dict[str, list[Replaced]] = {}

    def count(self, key: str, measure: Measure, name: str, n: int = 1) -> None:
        """Count `n` of a measure under a name."""
        if n:
            self._counts[key, measure, name] += n

    def numbers(self, key: str, phones: Iterable[str]) -> None:
        """Count the numbers in phones of contacts (JSON) by country and prefix."""
        self._phones.setdefault(key, []).extend(phones)

    def names(self, key: str, people: Sequence[Mapping[str, Any]]) -> None:
        """Count what looks like no name in the names among these values."""
        for name in NAME_PROPERTIES:
            texts = [held[name] for held in people if name in held]
            if texts:
                self._names.setdefault(key, []).extend(text for text in texts if text.__class__ is str)

    def replaced(self, key: str, replaced: Replaced) -> None:
        """Keep what contacts held before the key changed them."""
        if replaced.xwhos:
            self._replaced.setdefault(key, []).append(replaced)

    def bound(self, key: str, anonymous_ids: Sequence[str]) -> None:
        """Keep which ids the key has bound to people."""
        self.replaced(key, Replaced(list(anonymous_ids), how=Replacement.BOUND))

    def write(self, session: Session, ids: Mapping[str, int], now: dt.datetime) -> None:
        """Add all of it to the tallies and the journal; `ids` are those of the keys."""
        hour = key_watch.hour_of(now)
        for key, texts in self._names.items():
            for sign, n in key_watch.text_signs(texts).items():
                self.count(key, Measure.TEXT, sign.value, n)
        counts = Counter({(ids[key], measure, name): n for (key, measure, name), n in self._counts.items()})
        for key, phones in self._phones.items():
            for prefix, n in drift.by_prefix(Counter(_STARTS.findall(",".join(phones)))).items():
                counts[ids[key], Measure.COUNTRY, drift.country_code(prefix)] += n
                counts[ids[key], Measure.PREFIX, _with_room(ids[key], hour, prefix)] += n
        key_tallies.add(session, hour, counts)
        for key, groups in self._replaced.items():
            key_journal.add(session, ids[key], groups, now)


@lru_cache(maxsize=256)
def _prefixes(_key_id: int, _hour: dt.datetime) -> set[str]:
    """Return the prefixes that this process has counted by name; the caller adds to them."""
    return set()


def _with_room(key_id: int, hour: dt.datetime, prefix: str) -> str:
    known = _prefixes(key_id, hour)
    if prefix in known or len(known) < MOST_PREFIXES:
        known.add(prefix)
        return prefix
    return OTHERS
