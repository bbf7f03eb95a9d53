"""The schema's revision in the database, the revisions this code knows, and how a migration is carried out.

A migration after the first one only adds (expand), so that the code before it goes on working beside it. One that takes
away (contract) says so with `contract = True`; the schema then refuses code that does not know it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.store.db import Base, db
from smsapp.store.receipts import inbox

MIGRATIONS = Path(__file__).parent / "migrations"
PARTS = {"main": Base.metadata, "inbox": inbox.metadata}
"""The tables in two parts; a migration has one upgrade function for each."""


class SchemaCompatibility(Base):
    """The one row that says which code may run with this schema."""

    __tablename__ = "schema_compatibility"

    id: Mapped[int] = mapped_column(primary_key=True)
    oldest_code: Mapped[str] = mapped_column(sa.String(32))
    """The newest revision that the oldest such code knows."""


def databases() -> list[tuple[sa.Engine, list[str]]]:
    """Return each database with its parts: on SQLite the inbox is a separate file."""
    if inbox.engine() is db.engine:
        return [(db.engine, ["main", "inbox"])]
    return [(db.engine, ["main"]), (inbox.engine(), ["inbox"])]


@functools.cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions this code knows, oldest first."""
    scripts = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    return tuple(reversed([script.revision for script in scripts]))


def newest_revision() -> str:
    """Return the newest revision this code knows."""
    return known_revisions()[-1]


def found_revisions() -> list[str]:
    """Return the revision of each file of the database; "" if it has none. Raises SQLAlchemyError if one is silent."""
    return [_revision(engine) for engine, _ in databases()]


def _revision(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")


def oldest_code() -> str:
    """Return the newest revision of the oldest code that may run with this schema; "" if the schema does not say."""
    with db.engine.connect() as connection:
        if not sa.inspect(connection).has_table(SchemaCompatibility.__tablename__):
            return ""
        return connection.scalar(sa.select(SchemaCompatibility.oldest_code)) or ""


def server() -> str:
    """Return kind and version of the database, as "PostgreSQL 18.6" or "SQLite 3.45.1"."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return f"SQLite {connection.scalar(sa.text('SELECT sqlite_version()'))}"
        version = str(connection.scalar(sa.text("SHOW server_version")))
        return f"PostgreSQL {version.split(maxsplit=1)[0]}"


# -- migrations -------------------------------------------------------------------------------------------------------


def is_contract(migration: ModuleType) -> bool:
    """Return whether the migration takes something away that the code before it needs."""
    return bool(getattr(migration, "contract", False))


def note_applied(ctx: Any, step: Any, **_more: Any) -> None:
    """Have the schema refuse older code once a migration was applied that takes something away (Alembic's hook)."""
    if step.is_upgrade and step.up_revision is not None and is_contract(step.up_revision.module):
        ctx.connection.execute(sa.update(SchemaCompatibility).values(oldest_code=step.up_revision_id))
