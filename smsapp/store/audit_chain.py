"""The audit log as a chain: each entry holds a keyed hash of itself and of the entry before it.

The database refuses to change or delete entries; whoever gets around that without the application's key breaks the
chain, which `flask audit verify` shows. Entries are added at the end of their transaction, under a lock that is held
until it commits: positions have no gaps, and a long transaction keeps nobody waiting. The log of the process tells the
chain's new end, so wherever logs are kept, something outside the database shows whether that end is still there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.db import as_json, dialect
from smsapp.store.settings import encryption_keys, settings
from smsapp.store.users import AuditEntry

log = logging.getLogger(__name__)

_PENDING = "audit entries of this transaction"
_END = "end of the audit log with this transaction"
_LOCK = 0x61756469
"""Of pg_advisory_xact_lock; on SQLite the transaction itself is the lock."""
PAGE = 1000
"""Entries that are read at a time."""

APPEND_ONLY = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_entry_no_{change.lower()} BEFORE {change} ON audit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for change in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry "
        "FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse()",
        "CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()",
    ),
}
"""Statements that make the table append-only; the migration has a copy."""


@sa.event.listens_for(AuditEntry.__table__, "after_create")
def _make_append_only(_table: object, connection: sa.Connection, **_: Any) -> None:
    for statement in APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def append(session: Session, entry: AuditEntry) -> None:
    """Add the entry at the end of the chain as this transaction commits; a rollback drops it."""
    session.info.setdefault(_PENDING, []).append(entry)


@sa.event.listens_for(Session, "before_commit")
def _chain(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint ends, not the transaction
        return
    entries: list[AuditEntry] = session.info.pop(_PENDING, [])
    if not entries:
        return
    if dialect() == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    position, digest = head(session)
    for entry in entries:
        position += 1
        digest = _digest(_keys()[0], digest, position, entry)
        entry.position, entry.digest = position, digest
        session.add(entry)
    session.info[_END] = (position, digest)


@sa.event.listens_for(Session, "after_commit")
def _tell_end(session: Session) -> None:
    if not session.in_nested_transaction() and (end := session.info.pop(_END, None)):
        log.info("audit.end position=%d hash=%s", *end)


@sa.event.listens_for(Session, "after_rollback")
def _drop(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_PENDING, None)
        session.info.pop(_END, None)


def head(session: Session) -> tuple[int, str]:
    """Return position and digest of the last entry; (0, "") of an empty chain."""
    last = sa.select(AuditEntry.position, AuditEntry.digest).where(AuditEntry.position.is_not(None))
    row = session.execute(last.order_by(AuditEntry.position.desc()).limit(1)).one_or_none()
    return (row[0] or 0, row[1] or "") if row else (0, "")


def digest_at(session: Session, position: int) -> str | None:
    """Return the digest of the entry at this position; None if there is none."""
    return session.scalar(sa.select(AuditEntry.digest).where(AuditEntry.position == position))


def broken(session: Session, after: int = 0) -> int | None:
    """Return the first position behind `after` whose entry is missing or not what was written; None if all are."""
    keys, digest = _keys(), ""
    if after:
        digest = session.scalar(sa.select(AuditEntry.digest).where(AuditEntry.position == after)) or ""
    position = after
    for entry in chained(session, after):
        position += 1
        if entry.position != position:
            return position
        if not any(hmac.compare_digest(_digest(key, digest, position, entry), entry.digest or "") for key in keys):
            return position
        digest = entry.digest or ""
    return None


def chained(session: Session, after: int = 0) -> Iterator[AuditEntry]:
    """Yield the entries behind this position, PAGE of them in memory at a time."""
    while True:
        entries: Sequence[AuditEntry] = session.scalars(
            sa.select(AuditEntry).where(AuditEntry.position > after).order_by(AuditEntry.position).limit(PAGE)
        ).all()
        yield from entries
        if len(entries) < PAGE:
            return
        after = entries[-1].position or 0
        session.expunge_all()


def unchained(session: Session) -> int:
    """Return how many entries are in no chain: those of versions before it."""
    return session.scalar(sa.select(sa.func.count()).where(AuditEntry.position.is_(None))) or 0


def _keys() -> list[bytes]:
    """Return the keys of the chain, one for each of the application's, newest first."""
    return [hmac.digest(key.encode(), b"audit log", "sha256") for key in encryption_keys(settings())]


def _digest(key: bytes, previous: str, position: int, entry: AuditEntry) -> str:
    content = (
        position,
        previous,
        entry.at.astimezone(dt.UTC).isoformat(),
        entry.user_id,
        entry.by,
        entry.address,
        entry.action,
        entry.noun,
        entry.noun_id,
        # As the database gives it back, with its keys in order.
        json.loads(as_json(entry.facts)),
    )
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
