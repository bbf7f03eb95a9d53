"""What only SQLite needs: pragmas, transactions that begin IMMEDIATE, and a fair order of those who write.

SQLite has one writer at a time for each file. PostgreSQL needs nothing of this.
"""

from __future__ import annotations

import datetime as dt
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "busy_timeout=30000",
    "foreign_keys=ON",
    "cache_size=-65536",
    # Temporary data beyond the cache goes to a file: sorting an audience would otherwise keep all of it in memory.
    "temp_store=FILE",
    # 64 MiB between checkpoints, so that bulk writes spend less time copying pages back.
    "wal_autocheckpoint=16384",
)
BEGIN_IMMEDIATE: dict[str, Any] = {"begin": "IMMEDIATE"}
"""Execution option of a connection whose transactions write. A transaction that reads first and writes later fails at
once ("database is locked") if another process has written in between, whatever the busy timeout."""


def prepare_engine(engine: Engine) -> None:
    """Give SQLite connections their pragmas and let SQLAlchemy, not the driver, begin transactions."""
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("begin", "DEFERRED"))


@contextmanager
def write_lock(engine: Engine) -> Iterator[None]:
    """Hold the fair writer lock of a SQLite file; on PostgreSQL do nothing.

    SQLite's own waiting polls at ever longer intervals, so senders that write all the time would keep others out for
    seconds. Two file locks, because a single one tends to return to the process that just released it: the next writer
    waits for `writer` while holding `next_writer`, all others wait for `next_writer`. Both end with their process.
    """
    file = engine.url.database
    if engine.dialect.name == "postgresql" or not file or file == ":memory:":
        yield
        return
    with open(f"{file}-line", "wb") as next_writer, open(f"{file}-turn", "wb") as writer:
        fcntl.flock(next_writer, fcntl.LOCK_EX)
        fcntl.flock(writer, fcntl.LOCK_EX)
        fcntl.flock(next_writer, fcntl.LOCK_UN)
        yield


def datetime_text(when: dt.datetime) -> str:
    """Return the moment as SQLAlchemy writes a DateTime on SQLite."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"
