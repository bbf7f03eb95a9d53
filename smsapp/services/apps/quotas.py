"""Quotas of AppKeys: counted in each process, and twice a second together with all others, without a database.

While Redis does not answer, each web process keeps to its share of a limit. What processes count between two looks at
the shared counters may go beyond a limit by as much as comes in that time. A large request looks first, unless all that
its process has counted since the last look is within its share of what was left then: so far others could go as well.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from smsapp.domain import quota
from smsapp.domain.quota import Limits, Measure
from smsapp.domain.trust import KeyKind
from smsapp.store import queue
from smsapp.store.apps import quotas
from smsapp.store.settings import settings

SHARE_SECONDS, AWAY_SECONDS = 0.5, 5.0
"""Between two looks at the shared counters; the same while Redis does not answer."""
LARGE = 100
"""Records of a request that looks at the shared counters first if a limit is near."""
MARGIN_SECONDS = 3600
"""How long a counter is kept after its time."""
MOST_COUNTERS = 10_000


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that is used up, and the seconds until it is not."""

    measure: Measure
    limit: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used."""

    measure: Measure
    used: int
    limit: int

    @property
    def shown(self) -> tuple[int, int]:
        """What is used and the limit, as people read them: bytes in MiB."""
        unit = 1 << 20 if self.measure is Measure.BYTES else 1
        return self.used // unit, self.limit // unit


def public_limits() -> Limits:
    """Return what a public key may bring."""
    config = settings()
    return {
        Measure.REQUESTS: config.UP_REQUESTS_PER_MINUTE,
        Measure.RECORDS: config.UP_RECORDS_PER_DAY,
        Measure.NEW_CONTACTS: config.UP_NEW_CONTACTS_PER_DAY,
        Measure.BYTES: config.UP_MB_PER_DAY * 2**20,
    }


class Meter:
    """What AppKeys have used, as one process knows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: Counter[str] = Counter()
        """What the shared counters stood at, by name."""
        self._own: Counter[str] = Counter()
        """What this process has counted since."""
        self._seconds: dict[str, int] = {}
        """How long counters count."""
        self._asked: set[str] = set()
        """The counters that somebody asked for since."""
        self._limits: dict[KeyKind, Limits] = {}
        self._look_at = float("-inf")
        self._is_alone = False
        self._looking = threading.Lock()

    def exceeded(self, key_id: int, kind: KeyKind, amounts: Mapping[Measure, int], now: dt.datetime) -> Exceeded | None:
        """Count what a key brings and return None, or return the limit that it would exceed and count nothing."""
        limits = self._limits.get(kind)
        if limits is None:
            limits = self._limits[kind] = quota.limits(kind, public_limits())
        windows = _windows(now.replace(second=0, microsecond=0), settings().DEFAULT_ZONE)
        names = {measure: f"{key_id}:{windows[measure][0]}" for measure in limits}
        with self._lock:
            self._asked.update(names.values())
            self._seconds.update((name, windows[measure][1]) for measure, name in names.items())
            is_large = amounts.get(Measure.RECORDS, 0) >= LARGE
            force = is_large and not all(self._is_far(name, amounts.get(m, 0), limits[m]) for m, name in names.items())
        self._refresh(force=force)
        with self._lock:
            for measure, limit in limits.items():
                name = names[measure]
                # What is not brought this time must not be used up either.
                wanted = amounts.get(measure, 0 if measure is Measure.REQUESTS else 1)
                most = limit // settings().WEB_WORKERS if self._is_alone else limit
                if self._shared[name] + self._own[name] + wanted > most:
                    return Exceeded(measure, limit, max(1, windows[measure][1] - now.second))
            for measure, n in amounts.items():
                self._own[names[measure]] += n
        return None

    def _is_far(self, name: str, wanted: int, limit: int) -> bool:
        """Say whether every web process could bring as much as this one since the last look, without a limit met."""
        if name not in self._shared:
            return False
        return self._own[name] + wanted <= (limit - self._shared[name]) // settings().WEB_WORKERS

    def _refresh(self, *, force: bool) -> None:
        """Add what this process has counted to the shared counters, and read them, if it is time."""
        if not (force and not self._is_alone) and time.monotonic() < self._look_at:
            return
        if not self._looking.acquire(blocking=force):
            return
        try:
            with self._lock:
                if len(self._shared) > MOST_COUNTERS:
                    self._shared.clear()
                    self._seconds = {name: n for name, n in self._seconds.items() if name in self._own}
                # A counter that this process only reads is among them with 0.
                own = {name: self._own[name] for name in {*self._asked, *self._own}}
                added = [quotas.Added(name, n, self._seconds[name] + MARGIN_SECONDS) for name, n in own.items()]
                self._asked.clear()
            totals: list[int] | None = None
            if added:
                try:
                    totals = quotas.add(added)
                except queue.QueueDown:
                    totals = None
            with self._lock:
                self._is_alone = bool(added) and totals is None
                for n, (name, counted) in enumerate(own.items()):
                    self._shared[name] = totals[n] if totals else self._shared[name] + counted
                    self._own[name] -= counted
                    if not self._own[name]:
                        del self._own[name]
            self._look_at = time.monotonic() + (AWAY_SECONDS if self._is_alone else SHARE_SECONDS)
        finally:
            self._looking.release()


def note_new_contacts(created: Mapping[int, int], now: dt.datetime) -> None:
    """Count contacts that keys have created: {key id: number}."""
    counters = []
    for key_id, n in created.items():
        name, seconds = _counter(key_id, Measure.NEW_CONTACTS, now)
        counters.append(quotas.Added(name, n, seconds + MARGIN_SECONDS))
    if counters:
        try:
            quotas.add(counters)
        except queue.QueueDown:
            return


def room_for_contacts(kinds: Mapping[int, KeyKind], now: dt.datetime) -> dict[int, int]:
    """Return how many contacts these keys, {id: kind}, may still create today; while Redis is away, all of a day's."""
    rooms = {id_: quota.limits(kind, public_limits())[Measure.NEW_CONTACTS] for id_, kind in kinds.items()}
    try:
        used = quotas.read([_counter(id_, Measure.NEW_CONTACTS, now)[0] for id_ in rooms]) if rooms else []
    except queue.QueueDown:
        return rooms
    return {id_: room - n for (id_, room), n in zip(rooms.items(), used, strict=True)}


def most_contacts(kind: KeyKind) -> int:
    """Return how many contacts a key of this kind may create in a day."""
    return quota.limits(kind, public_limits())[Measure.NEW_CONTACTS]


def usage(key_id: int, kind: KeyKind, now: dt.datetime) -> list[Usage]:
    """Return how much of each limit a key has used; nothing while Redis does not answer."""
    limits = quota.limits(kind, public_limits())
    try:
        used = quotas.read([_counter(key_id, measure, now)[0] for measure in limits])
    except queue.QueueDown:
        return []
    return [Usage(measure, n, limit) for (measure, limit), n in zip(limits.items(), used, strict=True)]


def used_today(key_ids: Sequence[int], measure: Measure, now: dt.datetime) -> dict[int, int]:
    """Return how much of a measure that is counted by day these keys have used. Raises queue.QueueDown."""
    used = quotas.read([_counter(key_id, measure, now)[0] for key_id in key_ids]) if key_ids else []
    return dict(zip(key_ids, used, strict=True))


def _counter(key_id: int, measure: Measure, now: dt.datetime) -> tuple[str, int]:
    name, seconds = _windows(now.replace(second=0, microsecond=0), settings().DEFAULT_ZONE)[measure]
    return f"{key_id}:{name}", seconds


@lru_cache(maxsize=4)
def _windows(minute: dt.datetime, zone: str) -> dict[Measure, tuple[str, int]]:
    """Return for each measure the second half of its counter's name, and its seconds from this minute on."""
    windows = {measure: quota.window(measure, minute, zone) for measure in Measure}
    return {measure: (f"{measure.value}:{name}", seconds) for measure, (name, seconds) in windows.items()}
