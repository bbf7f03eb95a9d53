"""What AppKeys have replaced: the values and sources before, so that the last hours of a key can be undone.

A row holds all that one transaction replaced for one key. Values added where there was none are not in it: the
contact's own sources say who added them.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.key_undo import Replacement, Values
from smsapp.store.db import Base, BigId, changed

FASTEST = 1
"""zlib's level: half the size of what it compresses best, in a fifth of the time."""


class KeyJournal(Base):
    """What one transaction replaced for one key."""

    __tablename__ = "key_journal"
    __table_args__ = (sa.Index("ix_key_journal_app_key_id_id", "app_key_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    app_key_id: Mapped[int] = mapped_column(sa.ForeignKey("app_key.id", ondelete="CASCADE"))
    at: Mapped[dt.datetime] = mapped_column(index=True)
    size: Mapped[int]
    """Bytes of `replaced`."""
    replaced: Mapped[bytes] = mapped_column(sa.LargeBinary)
    """A list of `Replaced` as JSON, compressed."""


@dataclass(frozen=True)
class Replaced:
    """What contacts held before one key changed the same properties of all of them."""

    xwhos: list[str]
    names: Sequence[str] = ()
    values: Sequence[Sequence[Any]] = ()
    """For each name the values of all contacts, None where there was none."""
    sources: Sequence[str] = ()
    """The sources of each contact, as JSON."""
    how: Replacement = Replacement.CHANGED
    """ERASED: `names` are all that the contacts held. BOUND: `xwhos` are the anonymous ids; nothing else is kept."""

    def people(self) -> Iterator[tuple[str, Values]]:
        """Yield (user id, what it held of `names`) of each contact."""
        for place, xwho in enumerate(self.xwhos):
            values = {name: column[place] for name, column in zip(self.names, self.values, strict=True)}
            held = {name: value for name, value in values.items() if value is not None}
            yield xwho, Values(held, orjson.loads(self.sources[place]))


@dataclass(frozen=True)
class JournalRow:
    """One row as it is read."""

    id: int
    at: dt.datetime
    replaced: list[Replaced] = field(default_factory=list)


def without(replaced: bytes, is_erased: Callable[[Any], bool]) -> bytes:
    """Return a row's `replaced` without the people of whom the user id or a value is that of an erased person.

    Otherwise undoing what a key did would bring them back.
    """
    groups = orjson.loads(zlib.decompress(replaced))
    clean = []
    for xwhos, names, values, (texts, numbers), how in groups:
        others = [
            place
            for place, xwho in enumerate(xwhos)
            if not is_erased(xwho) and not any(is_erased(column[place]) for column in values)
        ]
        columns = [[column[place] for place in others] for column in values]
        sources = [texts, [numbers[place] for place in others] if numbers else []]
        clean.append([[xwhos[place] for place in others], names, columns, sources, how])
    return replaced if clean == groups else zlib.compress(orjson.dumps(clean), FASTEST)


def add(session: Session, key_id: int, replaced: Sequence[Replaced], now: dt.datetime) -> None:
    """Keep what a transaction replaced for a key."""
    groups = []
    for row in replaced:
        # Sources of many are the same: each text is kept once.
        places: dict[str, int] = {}
        numbers = [places.setdefault(text, len(places)) for text in row.sources]
        groups.append([row.xwhos, row.names, row.values, [list(places), numbers], row.how])
    data = zlib.compress(orjson.dumps(groups), FASTEST)
    values = {"app_key_id": key_id, "at": now, "size": len(data), "replaced": data}
    session.execute(sa.insert(KeyJournal), [values])


def last_id(session: Session, key_id: int) -> int:
    """Return the id of the newest row of a key, 0 if there is none."""
    return session.scalar(sa.select(sa.func.max(KeyJournal.id)).where(KeyJournal.app_key_id == key_id)) or 0


def row_below(session: Session, key_id: int, below: int, since: dt.datetime, until: dt.datetime) -> JournalRow | None:
    """Return the newest row of a key with an id below this one, of the time from `since` to `until`."""
    query = (
        sa.select(KeyJournal.id, KeyJournal.at, KeyJournal.replaced)
        .where(KeyJournal.app_key_id == key_id, KeyJournal.id < below)
        .where(KeyJournal.at >= since, KeyJournal.at <= until)
        .order_by(KeyJournal.id.desc())
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    replaced = []
    for xwhos, names, values, (texts, numbers), how in orjson.loads(zlib.decompress(row.replaced)):
        sources = [texts[number] for number in numbers]
        replaced.append(Replaced(xwhos, names, values, sources, Replacement(how)))
    return JournalRow(row.id, row.at, replaced)


def count_rows(session: Session, key_id: int, since: dt.datetime) -> int:
    """Return how many rows a key has from a moment on."""
    query = sa.select(sa.func.count()).where(KeyJournal.app_key_id == key_id, KeyJournal.at >= since)
    return session.scalar(query) or 0


def delete_old(session: Session, before: dt.datetime, most_bytes: int) -> dict[int, dt.datetime]:
    """Delete rows from before a moment, and of each key the oldest beyond `most_bytes`.

    Return {key id: moment of its newest row that was deleted}: the key cannot be undone to an earlier one.
    """
    newer = sa.func.sum(KeyJournal.size).over(partition_by=KeyJournal.app_key_id, order_by=KeyJournal.id.desc())
    sums = sa.select(KeyJournal.id, KeyJournal.app_key_id, KeyJournal.at, newer.label("newer")).subquery()
    beyond = sa.or_(sums.c.at < before, sums.c.newer > most_bytes)
    newest = sa.select(sums.c.app_key_id, sa.func.max(sums.c.id), sa.func.max(sums.c.at)).where(beyond)
    floors = {}
    for key_id, last, at in session.execute(newest.group_by(sums.c.app_key_id)).all():
        changed(session, sa.delete(KeyJournal).where(KeyJournal.app_key_id == key_id, KeyJournal.id <= last))
        floors[key_id] = at
    return floors
