"""AppKeys of reporting apps, and records and rows that could not be kept."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.storable import storable
from smsapp.domain.trust import KeyKind, Rights, Rule
from smsapp.store import journal
from smsapp.store.db import Base, BigId, changed, one_of

RAW_LENGTH = 4000
"""Characters stored of a record that could not be kept."""


class BadRecord(Base):
    """A reported or imported record that was not kept, with the reason."""

    __tablename__ = "bad_record"
    __table_args__ = (sa.Index("ix_bad_record_source_id", "source", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    """"up", "import:7", or "numbers:7" (rows that were kept without a usable number)"""
    appid: Mapped[str] = mapped_column(sa.String(64), default="")
    reason: Mapped[str] = mapped_column(sa.String(40))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    raw: Mapped[str] = mapped_column(sa.Text)

    @property
    def import_id(self) -> int | None:
        """The import whose row it was; None if an app reported it."""
        number = self.source.partition(":")[2]
        return int(number) if number else None


class AppKey(Base):
    """A key with which the organisation's apps report profiles."""

    __tablename__ = "app_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[str] = mapped_column(sa.String(10), default=KeyKind.SERVER)
    """domain/trust.py KeyKind; never changed, because values store their source."""
    active: Mapped[bool] = mapped_column(default=True)
    properties: Mapped[list[Any] | None]
    """Names of the properties it may write; NULL = all."""
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{property: domain/trust.py Rule}"""
    created_at: Mapped[dt.datetime]
    last_used_at: Mapped[dt.datetime | None]
    secrets: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    """Sealed; with which uploads are signed (services/apps/key_secrets.py)."""
    previous_secret_until: Mapped[dt.datetime | None]
    signed_only: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Uploads that are not signed are refused."""
    pauses_on_alarm: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """An alarm of domain/key_watch.py disables the key."""
    undo_from: Mapped[dt.datetime | None]
    """The earliest moment to which what the key did can be undone; NULL = when it was made."""

    @property
    def rights(self) -> Rights:
        """The key's rights."""
        return _rights(self.kind, self.properties, self.rules)

    def __repr__(self) -> str:
        return f"<AppKey {self.id} {self.kind}>"


@dataclass(frozen=True, slots=True)
class KeyRights:
    """A key and its rights, for the upload protocol."""

    id: int
    key: str
    rights: Rights
    secrets: bytes | None = field(default=None, repr=False)
    """Sealed."""
    previous_secret_until: dt.datetime | None = None
    signed_only: bool = False


def _rights(kind: str, properties: Sequence[str] | None, rules: Mapping[str, str]) -> Rights:
    writable = None if properties is None else frozenset(properties)
    return Rights(KeyKind(kind), writable, {name: Rule(rule) for name, rule in rules.items()})


@dataclass(frozen=True, slots=True)
class Bad:
    """A refused record, before it has a row."""

    reason: str
    raw: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    appid: str = ""


# Records that were not kept


def add_bad_records(
    session: Session, source: str, bad: Sequence[Bad], now: dt.datetime, longest: int = RAW_LENGTH
) -> None:
    """Store refused records for people to correct, of each at most `longest` characters."""
    if not bad:
        return
    rows = [
        {
            "at": now,
            "source": source,
            "appid": storable(row.appid, 64),
            "reason": str(row.reason),
            "facts": _storable_fact(row.facts),
            "raw": storable(row.raw, longest),
        }
        for row in bad
    ]
    session.execute(sa.insert(BadRecord), rows)


def _storable_fact(fact: Any) -> Any:
    """Return a fact whose texts, however deep, can be stored."""
    if isinstance(fact, str):
        return storable(fact, RAW_LENGTH)
    if isinstance(fact, Mapping):
        return {storable(str(name), RAW_LENGTH): _storable_fact(part) for name, part in fact.items()}
    if isinstance(fact, list | tuple):
        return [_storable_fact(part) for part in fact]
    return fact


def bad_records(
    session: Session, source: str = "", reason: str = "", appid: str = "", before: int | None = None, limit: int = 50
) -> list[BadRecord]:
    """Return refused records, newest first, below the id `before`; "" does not filter."""
    query = sa.select(BadRecord).order_by(BadRecord.id.desc()).limit(limit)
    if not source:
        query = query.where(BadRecord.source.not_like("numbers:%"))
    if before is not None:
        query = query.where(BadRecord.id < before)
    for column, value in ((BadRecord.source, source), (BadRecord.reason, reason), (BadRecord.appid, appid)):
        if value:
            query = query.where(column == value)
    return list(session.scalars(query))


def bad_records_after(session: Session, source: str, after: int, limit: int) -> list[BadRecord]:
    """Return the rows of one source in the order they came, above the id `after`."""
    query = sa.select(BadRecord).where(BadRecord.source == source, BadRecord.id > after)
    return list(session.scalars(query.order_by(BadRecord.id).limit(limit)))


def bad_rows(session: Session, source: str) -> Iterator[int]:
    """Yield the numbers of the rows of a file that were refused."""
    after = 0
    query = sa.select(BadRecord.id, BadRecord.facts).where(BadRecord.source == source).order_by(BadRecord.id)
    while page := session.execute(query.where(BadRecord.id > after).limit(1000)).all():
        for _id, facts in page:
            yield int(facts.get("row", 0))
        after = page[-1].id


# Keys


def all_keys(session: Session) -> list[AppKey]:
    """Return all keys, the oldest first."""
    return list(session.scalars(sa.select(AppKey).order_by(AppKey.created_at, AppKey.key)))


def digest(key: str) -> str:
    """Return what the journal calls a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def note_switch(session: Session, row: AppKey) -> None:
    """Have the journal tell whether this key works from now on."""
    journal.note(session, journal.APP_KEY, digest(row.key), row.active)


def app_key(session: Session, key_id: int) -> AppKey | None:
    return session.get(AppKey, key_id)


def key_rights(session: Session, keys: Collection[str] | None = None) -> dict[str, KeyRights]:
    """Return {key: its rights} of all active keys, or of these, active or not."""
    columns = (AppKey.id, AppKey.key, AppKey.kind, AppKey.properties, AppKey.rules)
    signing = (AppKey.secrets, AppKey.previous_secret_until, AppKey.signed_only)
    condition = AppKey.active if keys is None else one_of(AppKey.key, keys)
    rows = session.execute(sa.select(*columns, *signing).where(condition))
    return {
        key: KeyRights(id_, key, _rights(kind, names, rules), *how_signed)
        for id_, key, kind, names, rules, *how_signed in rows
    }


def touch_keys(session: Session, keys: Collection[str], now: dt.datetime) -> None:
    """Update the last use of these keys, at most once a minute, to avoid a write for every request."""
    stale = sa.or_(AppKey.last_used_at.is_(None), AppKey.last_used_at < now - dt.timedelta(minutes=1))
    changed(session, sa.update(AppKey).where(AppKey.key.in_(keys), stale).values(last_used_at=now))


def names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Return the names of these keys; of one that is gone there is none."""
    return dict(iter(session.execute(sa.select(AppKey.id, AppKey.name).where(one_of(AppKey.id, ids)))))
