"""PostgreSQL: pg_dump and pg_restore do the work; the manifest's facts come from the dump's own snapshot."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from smsapp.domain.errors import Problem, Refusal
from smsapp.store.backups.copies import COUNTED, GENERATION, REVISION, CopyFacts
from smsapp.store.db import db

LOOK = 0.5
"""Seconds between two reports of progress."""
LINES_OF_TROUBLE = 5


def dump(target: Path, progress: Callable[[int, int], None]) -> CopyFacts:
    """Dump the database into a file, compressed; return what is in it. Raises Refusal if pg_dump fails."""
    with _connection() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot, size = connection.execute(
            "SELECT pg_export_snapshot(), pg_database_size(current_database())"
        ).fetchone() or ("", 0)
        held = CopyFacts(
            revision=_value(connection, REVISION),
            generation=_number(connection, GENERATION),
            counts=_counts(connection),
        )
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}")
        _run("pg_dump", *options, look=lambda: progress(target.stat().st_size if target.exists() else 0, size))
    return held


def counts() -> dict[str, int]:
    """Return the counts of the database in its place; {} if it has no tables of ours."""
    with _connection() as connection:
        known = connection.execute("SELECT to_regclass('ledger_mark') IS NOT NULL").fetchone()
        return _counts(connection) if known and known[0] else {}


def restore(file: Path, since: str, folder: Path, progress: Callable[[int, int], None]) -> int:
    """Replace the database by a dump; return how many rows that came since were kept. Raises Refusal.

    `since`: when the dump was made, in ISO. `folder` takes what is kept meanwhile.
    """
    _run("pg_restore", "--list", str(file))  # so that it is known to be readable before anything is removed
    with _connection() as connection:
        saved = _save_newer_rows(connection, since, folder)
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        with connection.transaction():
            for (table,) in tables:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(table)))
    options = (
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        f"--dbname={_place()['dbname']}",
    )
    _run("pg_restore", *options, str(file), look=lambda: progress(0, 0))
    with _connection() as connection:
        return _bring_back(connection, saved)


_KEPT = {
    "inbox": ("received_at", "id, channel_id, received_at, 0 AS state, method, url, query, headers, body"),
    "upload": ("received_at", "id, received_at, counted, records"),
    "message_request": ("at", "id, key_id, template_id, contact_id, at, token, fingerprint, given"),
}
"""Table -> when a row came, and what is kept of those that came since the dump was made; callbacks are read again."""


def _save_newer_rows(connection: psycopg.Connection, since: str, folder: Path) -> dict[str, tuple[Path, int]]:
    saved: dict[str, tuple[Path, int]] = {}
    for table, (came, columns) in _KEPT.items():
        if not _is_there(connection, table):
            continue
        path = folder / f"kept-{table}"
        rows = sql.SQL("COPY (SELECT {} FROM {} WHERE {} >= {}) TO STDOUT").format(
            sql.SQL(columns), sql.Identifier(table), sql.Identifier(came), sql.Literal(since)
        )
        with connection.cursor() as cursor:
            with path.open("wb") as file, cursor.copy(rows) as source:
                for data in source:
                    file.write(data)
            saved[table] = (path, cursor.rowcount)
    return saved


def _is_there(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return bool(row and row[0])


def _bring_back(connection: psycopg.Connection, saved: dict[str, tuple[Path, int]]) -> int:
    """Add the rows to those that were restored; return how many. A dump of an older release may lack their table."""
    there = {table: kept for table, kept in saved.items() if _is_there(connection, table)}
    for table, (path, _rows) in there.items():
        name, columns = sql.Identifier(table), sql.SQL(_KEPT[table][1].replace("0 AS state", "state"))
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TEMPORARY TABLE kept (LIKE {}) ON COMMIT DROP").format(name))
            with path.open("rb") as file, cursor.copy(sql.SQL("COPY kept ({}) FROM STDIN").format(columns)) as target:
                while data := file.read(1 << 20):
                    target.write(data)
            cursor.execute(
                sql.SQL("INSERT INTO {} ({}) SELECT {} FROM kept ON CONFLICT DO NOTHING").format(name, columns, columns)
            )
            newest = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), greatest(max(id), 1)) FROM {}")
            cursor.execute(newest.format(sql.Literal(table), name))
    return sum(rows for _path, rows in there.values())


def _place() -> dict[str, str]:
    """Return where the database is, as libpq names it."""
    raw = db.engine.raw_connection()
    info = raw.driver_connection.info  # type: ignore[union-attr]
    words = {
        "host": info.host,
        "port": str(info.port),
        "user": info.user,
        "dbname": info.dbname,
        "password": info.password,
    }
    raw.close()
    return {name: word for name, word in words.items() if word}


@contextmanager
def _connection() -> Iterator[psycopg.Connection]:
    """Open a connection of its own, which commits each statement."""
    with psycopg.connect(conninfo.make_conninfo(**_place()), autocommit=True) as connection:
        yield connection


def _value(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def _number(connection: psycopg.Connection, query: str) -> int:
    return int(_value(connection, query) or 0)


def _counts(connection: psycopg.Connection) -> dict[str, int]:
    return {table: _number(connection, f"SELECT count(*) FROM {table}") for table in COUNTED}  # noqa: S608 # nosec B608


_IN_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "password": "PGPASSWORD",
}
"""How the tools are told where the database is: a command line can be read by others."""


def _run(tool: str, *options: str, look: Callable[[], None] = lambda: None) -> None:
    try:
        process = subprocess.Popen(  # noqa: S603 -- a fixed tool, found on PATH
            [tool, *options],
            env=os.environ | {_IN_ENVIRONMENT[name]: word for name, word in _place().items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise Refusal(Problem("backup_tool_missing", facts={"tool": tool})) from None
    ended = threading.Event()
    looking = threading.Thread(target=_look_until, args=(ended, look), daemon=True)
    looking.start()
    try:
        _, trouble = process.communicate()
    finally:
        ended.set()
        looking.join()
    if process.returncode:
        reason = " ".join(trouble.strip().splitlines()[-LINES_OF_TROUBLE:])
        raise Refusal(Problem("backup_tool_failed", facts={"tool": tool, "reason": reason}))


def _look_until(ended: threading.Event, look: Callable[[], None]) -> None:
    while not ended.wait(LOOK):
        look()
