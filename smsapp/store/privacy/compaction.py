"""Writes SQLite's files anew: what was deleted stays legible in free pages and in the write-ahead log until then.

PostgreSQL's autovacuum frees the space of dead rows by itself, and the next rows are written over it.
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from smsapp.domain.run import RunState
from smsapp.store.db import db, dialect
from smsapp.store.receipts import inbox
from smsapp.store.runs.runs import Run
from smsapp.store.sqlite import write_lock

SMALL = 256 << 20
"""Bytes of a file that is written anew within a second or two, whatever is being sent."""


def is_needed() -> bool:
    """Return whether the database leaves what was deleted in its files."""
    return dialect() == "sqlite"


def may_run() -> bool:
    """Return whether writing the files anew keeps nobody waiting for long: they are small, or nothing is being sent."""
    sending = sa.select(sa.exists().where(Run.finished_at.is_(None), Run.state == RunState.SENDING))
    if _size() <= SMALL:
        return True
    with db.engine.connect() as connection:
        return not connection.scalar(sending)


def _size() -> int:
    return sum(os.path.getsize(engine.url.database) for engine in _engines() if engine.url.database)


def _engines() -> list[Engine]:
    return [db.engine, inbox.engine()]


def compact() -> bool:
    """Write the files anew and empty their logs; return False if a reader kept a log from being emptied.

    The caller's session has no transaction open.
    """
    emptied = [_compact(engine) for engine in _engines()]
    return all(emptied)


def _compact(engine: Engine) -> bool:
    with write_lock(engine):
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            blocked, _frames, _moved = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not blocked
        finally:
            connection.close()
