"""SQLite: both files are copied page by page from one snapshot each, while everything goes on writing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from smsapp.store.backups.copies import COUNTED, GENERATION, REVISION, CopyFacts
from smsapp.store.db import db
from smsapp.store.receipts import inbox

PAGES = 4096
"""Copied at once, between two reports of progress."""
ENDINGS = ("", "-wal", "-shm")
INBOX_TABLES = ("inbox", "upload", "message_request")


def files() -> dict[str, Path]:
    """Return {member of a backup: file of the database}."""
    return {"inbox": Path(str(inbox.engine().url.database)), "database": Path(str(db.engine.url.database))}


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database of SQLite as of now. What others write meanwhile is not in it, and does not begin it anew."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it reads one snapshot
        old.backup(new, pages=PAGES, progress=lambda _status, left, pages: progress(pages - left, pages), sleep=0)
        new.execute("PRAGMA journal_mode = DELETE")


def facts(file: Path) -> CopyFacts:
    """Return what a copied main file holds."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return CopyFacts(
            revision=connection.execute(REVISION).fetchone()[0],
            generation=connection.execute(GENERATION).fetchone()[0],
            counts={table: _count(connection, table) for table in COUNTED},
        )


def _count(connection: sqlite3.Connection, table: str) -> int:
    """Return how many rows a table of ours has."""
    # nosemgrep: sql-from-an-f-string -- tables of ours
    rows: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 # nosec B608
    return rows


def counts() -> dict[str, int]:
    """Return the counts of the database in its place; {} if it is not there or not readable."""
    file = files()["database"]
    try:
        return facts(file).counts if file.exists() else {}
    except (sqlite3.Error, TypeError):
        return {}


def keep_newer_rows(present: Path, restored: Path) -> int:
    """Add what only the present inbox holds to the restored one; return how many rows. A broken one is left alone."""
    if not present.exists():
        return 0
    with contextlib.closing(sqlite3.connect(restored, isolation_level=None)) as connection:
        before = connection.total_changes
        try:
            connection.execute("ATTACH ? AS present", (str(present),))
            for table in INBOX_TABLES:
                # nosemgrep: sql-from-an-f-string -- tables of ours
                columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
                if not columns:  # a copy of an older release
                    continue
                names = ", ".join(columns)
                statement = f"INSERT OR IGNORE INTO main.{table} ({names}) SELECT {names} FROM present.{table}"  # noqa: S608 # nosec B608
                # nosemgrep: sql-from-an-f-string -- tables and columns of ours
                connection.execute(statement)
        except sqlite3.Error:
            return 0
        return connection.total_changes - before


def put_in_place(restored: dict[str, Path], aside: Path) -> None:
    """Move the present files into the folder `aside`, and the restored ones into their places."""
    set_aside(aside)
    for name, file in files().items():
        os.rename(restored[name], file)


def set_aside(folder: Path) -> None:
    """Move the present files into this folder."""
    for file in files().values():
        for ending in ENDINGS:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{file}{ending}", folder / f"{file.name}{ending}")
