"""The schema's revision in the database, and the revision this code needs."""

from __future__ import annotations

import functools
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from smsapp.store.db import Base, db
from smsapp.store.receipts import inbox

MIGRATIONS = Path(__file__).parent / "migrations"
PARTS = {"main": Base.metadata, "inbox": inbox.metadata}
"""The tables in two parts; a migration has one upgrade function for each."""


def databases() -> list[tuple[sa.Engine, list[str]]]:
    """Return each database with its parts: on SQLite the inbox is a separate file."""
    if inbox.engine() is db.engine:
        return [(db.engine, ["main", "inbox"])]
    return [(db.engine, ["main"]), (inbox.engine(), ["inbox"])]


@functools.cache
def newest_revision() -> str:
    """Return the newest revision this code knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def database_revision() -> str:
    """Return the revision of the database; "" if it is empty. Raises SQLAlchemyError if it does not answer.

    Of two files the one with another revision than the newest counts.
    """
    return next(
        (revision for engine, _ in databases() if (revision := _revision(engine)) != newest_revision()),
        newest_revision(),
    )


def _revision(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")


def server() -> str:
    """Return kind and version of the database, as "PostgreSQL 18.6" or "SQLite 3.45.1"."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return f"SQLite {connection.scalar(sa.text('SELECT sqlite_version()'))}"
        version = str(connection.scalar(sa.text("SHOW server_version")))
        return f"PostgreSQL {version.split(maxsplit=1)[0]}"
