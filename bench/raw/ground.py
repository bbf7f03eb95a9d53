"""A scratch database for the bounds: contacts as the product stores them, and a ledger of the same columns and keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

RUN = 1
TABLES = ("raw_contact", "raw_message", "raw_batch", "raw_tally", "raw_receipt")
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536", "temp_store=MEMORY")


class Ground:
    """One connection to a scratch database; `?` stands for a parameter on both kinds."""

    def __init__(self, url: str) -> None:
        """`url` is sqlite:///PATH or postgresql[+psycopg]://..."""
        self.postgres = not url.startswith("sqlite")
        self.connection: Any
        if self.postgres:
            self.connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        else:
            self.connection = sqlite3.connect(Path(url.removeprefix("sqlite:///")), isolation_level=None)
            for pragma in PRAGMAS:
                self.connection.execute(f"PRAGMA {pragma}")

    def run(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self.connection.execute(statement.replace("?", "%s") if self.postgres else statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block did."""
        self.connection.execute("BEGIN" if self.postgres else "BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def settle(self) -> None:
        """Let the database finish deferred work, so that the next step does not include it."""
        if self.postgres:
            self.connection.execute("VACUUM ANALYZE raw_message")
            self.connection.execute("CHECKPOINT")
        else:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def make(self, contacts: int) -> None:
        """Create the tables and fill in so many contacts with a phone and a name."""
        self.drop()
        json, big = ("jsonb", "bigint") if self.postgres else ("text", "integer")
        rowid = "" if self.postgres else "WITHOUT ROWID"
        self.run(f"CREATE TABLE raw_contact (id {big} PRIMARY KEY, xwho text, properties {json}, phones {json})")
        self.run(
            f"CREATE TABLE raw_message (run_id {big}, seq integer, contact_id {big}, phone varchar(16), params text,"
            " status smallint, parts smallint, reason varchar(40), code varchar(80), provider_ref varchar(80),"
            f" answered_at bigint, receipt_at bigint, PRIMARY KEY (run_id, seq), UNIQUE (run_id, phone)) {rowid}"
        )
        self.run(
            f"CREATE TABLE raw_batch (run_id {big}, no integer, lo integer, hi integer, state smallint,"
            f" PRIMARY KEY (run_id, no)) {rowid}"
        )
        self.run(
            f"CREATE TABLE raw_tally (run_id {big}, state varchar(12), n integer, PRIMARY KEY (run_id, state)) {rowid}"
        )
        self.run("CREATE TABLE raw_receipt (seq integer, status smallint, at bigint)")
        if self.postgres:
            numbers, phone = f"generate_series(1, {contacts}) i", "'+86' || (13800000000 + i)"
            columns = f"jsonb_build_object('name', '客户' || i), jsonb_build_object('$phone', {phone})"
        else:
            numbers = (
                f"(WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < {contacts})"
                " SELECT i FROM s)"
            )
            columns = "json_object('name', '客户' || i), json_object('$phone', '+86' || (13800000000 + i))"
        self.run(f"INSERT INTO raw_contact SELECT i, 'user' || i, {columns} FROM {numbers}")
        if self.postgres:
            self.run("VACUUM ANALYZE raw_contact")

    def drop(self) -> None:
        for table in TABLES:
            self.run(f"DROP TABLE IF EXISTS {table}")

    def close(self) -> None:
        self.connection.close()
