"""What only SQLite needs: pragmas, transactions that begin IMMEDIATE, and a fair order of those who write.

SQLite has one writer at a time for each file. PostgreSQL needs nothing of this.
"""

from __future__ import annotations

import datetime as dt
import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from smsapp.domain.erasure import keyed_hash
from smsapp.domain.errors import OutOfTime
from smsapp.store import deadline

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=30000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    # Temporary data beyond the cache goes to a file: sorting an audience would otherwise keep all of it in memory.
    "PRAGMA temp_store=FILE",
    # 64 MiB between checkpoints, so that bulk writes spend less time copying pages back.
    "PRAGMA wal_autocheckpoint=16384",
)
KEYED_HASH = "keyed_hash"
"""SQL function (number, key) -> domain/erasure.py keyed_hash; NULL of NULL."""
_waiting = ThreadPoolExecutor(max_workers=64, thread_name_prefix="write-lock")
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
            cursor.execute(pragma)
        cursor.close()
        connection.create_function(KEYED_HASH, 2, _keyed_hash, deterministic=True)

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("begin", "DEFERRED"))


def _keyed_hash(phone: str | None, key: bytes) -> str | None:
    return None if phone is None else keyed_hash(phone, key)


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
        _lock(next_writer)
        _lock(writer)
        fcntl.flock(next_writer, fcntl.LOCK_UN)
        yield


def _lock(file: IO[bytes]) -> None:
    """Lock a file; raise OutOfTime if a web request's time is up before it is free.

    The system has no wait for a file lock with a limit, so a thread waits. If it is given up the file is closed, which
    frees the lock once the thread has it.
    """
    seconds = deadline.seconds_left()
    if seconds is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            _waiting.submit(fcntl.flock, file, fcntl.LOCK_EX).result(seconds)
        except TimeoutError:
            raise OutOfTime from None


def datetime_text(when: dt.datetime) -> str:
    """Return the moment as SQLAlchemy writes a DateTime on SQLite."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"
