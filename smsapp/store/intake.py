"""How contacts come in: keys of reporting apps, uploaded files on their way, and what could not be kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.columns import ImportState
from smsapp.domain.trust import KeyKind, Rights, Rule
from smsapp.store.db import Base, BigId, changed, one_of, session

RAW_LENGTH = 4000
"""So much of a record that could not be kept is shown."""


class BadRecord(Base):
    """A reported or imported record that was not kept, with the reason; the good ones beside it were."""

    __tablename__ = "bad_record"
    __table_args__ = (sa.Index("ix_bad_record_source_id", "source", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    """"up", or "import:7" """
    appid: Mapped[str] = mapped_column(sa.String(64), default="")
    reason: Mapped[str] = mapped_column(sa.String(40))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    raw: Mapped[str] = mapped_column(sa.Text)


class AppKey(Base):
    """A key by which the organisation's apps report profiles."""

    __tablename__ = "app_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[str] = mapped_column(sa.String(10), default=KeyKind.SERVER)
    """domain/trust.py KeyKind; it never changes: values keep who wrote them."""
    active: Mapped[bool] = mapped_column(default=True)
    properties: Mapped[list[Any] | None]
    """Names of the properties that it may write; NULL = all."""
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{property: domain/trust.py Rule}"""
    created_at: Mapped[dt.datetime]
    last_used_at: Mapped[dt.datetime | None]

    @property
    def rights(self) -> Rights:
        """What it may do."""
        return _rights(self.kind, self.properties, self.rules)

    def __repr__(self) -> str:
        return f"<AppKey {self.id} {self.kind}>"


@dataclass(frozen=True, slots=True)
class KeyRights:
    """An active key as the upload protocol needs it."""

    id: int
    key: str
    rights: Rights


def _rights(kind: str, properties: Sequence[str] | None, rules: Mapping[str, str]) -> Rights:
    writable = None if properties is None else frozenset(properties)
    return Rights(KeyKind(kind), writable, {name: Rule(rule) for name, rule in rules.items()})


class Import(Base):
    """An uploaded file of contacts on its way in. `position` rows are committed: a restart goes on after them."""

    __tablename__ = "import"

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(sa.String(255))
    path: Mapped[str] = mapped_column(sa.String(255))
    """Relative to the instance folder's uploads."""
    format: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """services/sheets.py Format.as_json()"""
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """domain/columns.py Layout.as_json()"""
    state: Mapped[str] = mapped_column(sa.String(20))
    """domain/columns.py ImportState"""
    failure: Mapped[str] = mapped_column(sa.String(60), default="")
    size: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    read_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    position: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[dt.datetime | None]
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]


@dataclass(frozen=True, slots=True)
class Bad:
    """What could not be kept, before it has a row."""

    reason: str
    raw: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    appid: str = ""


def _storable(text: str) -> str:
    """Return text without what neither database stores: U+0000 and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


# Records that were not kept


def add_bad(current: Session, source: str, bad: Sequence[Bad], now: dt.datetime) -> None:
    """Keep what was refused, so that a person can see and mend it."""
    if not bad:
        return
    rows = [
        {
            "at": now,
            "source": source,
            "appid": _storable(row.appid[:64]),
            "reason": str(row.reason),
            "facts": {name: _storable(fact) if isinstance(fact, str) else fact for name, fact in row.facts.items()},
            "raw": _storable(row.raw[:RAW_LENGTH]),
        }
        for row in bad
    ]
    current.execute(sa.insert(BadRecord), rows)


def bad_records(
    source: str = "", reason: str = "", appid: str = "", before: int | None = None, limit: int = 50
) -> list[BadRecord]:
    """Return refused records, newest first, below the id `before`; "" does not filter."""
    query = sa.select(BadRecord).order_by(BadRecord.id.desc()).limit(limit)
    if before is not None:
        query = query.where(BadRecord.id < before)
    for column, wanted in ((BadRecord.source, source), (BadRecord.reason, reason), (BadRecord.appid, appid)):
        if wanted:
            query = query.where(column == wanted)
    return list(session().scalars(query))


def bad_rows_of(import_id: int, after: int, limit: int) -> list[BadRecord]:
    """Return the refused rows of one import in the file's order, above the id `after`."""
    query = sa.select(BadRecord).where(BadRecord.source == f"import:{import_id}", BadRecord.id > after)
    return list(session().scalars(query.order_by(BadRecord.id).limit(limit)))


def forget_bad(current: Session, older_than: dt.datetime, limit: int) -> int:
    """Remove up to `limit` refused records from before that moment; return how many went."""
    old = sa.select(BadRecord.id).where(BadRecord.at < older_than).limit(limit)
    return changed(current, sa.delete(BadRecord).where(BadRecord.id.in_(old)))


# Keys


def app_keys() -> list[AppKey]:
    """Return all keys, the oldest first."""
    return list(session().scalars(sa.select(AppKey).order_by(AppKey.created_at, AppKey.key)))


def app_key(key_id: int) -> AppKey | None:
    return session().get(AppKey, key_id)


def key_rights(current: Session, keys: Collection[str] | None = None) -> dict[str, KeyRights]:
    """Return {key: what it may do} of all active keys, or of these, active or not."""
    columns = (AppKey.id, AppKey.key, AppKey.kind, AppKey.properties, AppKey.rules)
    wanted = AppKey.active if keys is None else one_of(AppKey.key, keys)
    rows = current.execute(sa.select(*columns).where(wanted))
    return {key: KeyRights(id_, key, _rights(kind, names, rules)) for id_, key, kind, names, rules in rows}


def touch_keys(current: Session, keys: Collection[str], now: dt.datetime) -> None:
    """Note that these keys are in use, to the minute: not a write for every request."""
    stale = sa.or_(AppKey.last_used_at.is_(None), AppKey.last_used_at < now - dt.timedelta(minutes=1))
    changed(current, sa.update(AppKey).where(AppKey.key.in_(keys), stale).values(last_used_at=now))


# Imports


def imports(limit: int = 50) -> list[Import]:
    """Return the newest imports first."""
    return list(session().scalars(sa.select(Import).order_by(Import.id.desc()).limit(limit)))


def import_(import_id: int) -> Import | None:
    return session().get(Import, import_id)


def claim_import(current: Session, import_id: int, now: dt.datetime, until: dt.datetime) -> bool:
    """Take an import that nobody works on; False if it is done, unknown, or held by a worker that is alive."""
    taken = sa.update(Import).where(Import.id == import_id, *_unattended(now))
    return changed(current, taken.values(state=ImportState.RUNNING, lease_until=until)) == 1


def advance_import(
    current: Session, import_id: int, position: int, until: dt.datetime, counts: Mapping[str, int], read_bytes: int
) -> bool:
    """Note a chunk that begins at row `position`; False if another worker was there first."""
    here = (Import.id == import_id, Import.state == ImportState.RUNNING, Import.position == position)
    moved = (
        sa.update(Import)
        .where(*here)
        .values(
            position=Import.position + counts["rows"],
            added=Import.added + counts["added"],
            changed=Import.changed + counts["changed"],
            refused=Import.refused + counts["refused"],
            read_bytes=read_bytes,
            lease_until=until,
        )
    )
    return changed(current, moved) == 1


def end_import(current: Session, import_id: int, state: ImportState, now: dt.datetime, failure: str = "") -> None:
    ended = sa.update(Import).where(Import.id == import_id)
    changed(current, ended.values(state=state, failure=failure, finished_at=now, lease_until=None))


def stranded_imports(now: dt.datetime) -> list[int]:
    """Return imports that wait for a worker or whose worker fell silent: the sweep rings for them."""
    return list(session().scalars(sa.select(Import.id).where(*_unattended(now))))


def _unattended(now: dt.datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that an import is to be worked on and no worker that is alive holds it."""
    free = sa.or_(Import.lease_until.is_(None), Import.lease_until < now)
    return Import.state.in_((ImportState.QUEUED, ImportState.RUNNING)), free


def forgotten_uploads(before: dt.datetime) -> list[Import]:
    """Return files that were uploaded before that moment and never begun."""
    return list(
        session().scalars(sa.select(Import).where(Import.state == ImportState.UPLOADED, Import.created_at < before))
    )
