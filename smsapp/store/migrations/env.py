"""Runs migrations on the application's own engines; the same ones on SQLite and PostgreSQL.

New ones are generated on SQLite (`flask db migrate`), where each part is a file: that tells whose a change is.
"""

import importlib
import pkgutil
import time

import sqlalchemy as sa
from alembic import context
from sqlalchemy.exc import OperationalError

from smsapp import store
from smsapp.store import schema
from smsapp.store.db import BigId, Json, UtcDateTime
from smsapp.store.sqlite import BEGIN_IMMEDIATE, write_lock

LOCK_TIMEOUT = "3s"
"""How long a migration waits for a table on PostgreSQL: whoever comes after it waits behind it."""
LOCK_TRIES, LOCK_PAUSE = 40, 1.0
"""How often a migration is tried that could not get a table, and the seconds between."""
LOCK_NOT_AVAILABLE = "55P03"

for module in pkgutil.walk_packages(store.__path__, "smsapp.store."):
    if not module.ispkg and ".migrations" not in module.name:
        importlib.import_module(module.name)


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Name our own types, so that a migration says what the models say."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "db.UtcDateTime()"
    for name, ours in (("db.Json", Json), ("db.BigId", BigId)):
        if kind == "type" and item is ours:
            return name
    return False


def run(connection: sa.Connection, parts: list[str]) -> None:
    context.configure(
        connection=connection,
        target_metadata=[schema.PARTS[part] for part in parts],
        upgrade_token=f"{parts[0]}_upgrades",
        downgrade_token=f"{parts[0]}_downgrades",
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        transaction_per_migration=True,
        on_version_apply=schema.note_applied if "main" in parts else None,
    )
    with context.begin_transaction():
        context.run_migrations(parts=parts)


def run_without_long_locks(connection: sa.Connection, parts: list[str]) -> None:
    """Migrate; on PostgreSQL give way to those at work, and try again: senders go on meanwhile.

    Each migration is a transaction of its own, so what was done stays done.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        connection.commit()
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            run(connection, parts)
            connection.commit()
            return
        except OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", "") != LOCK_NOT_AVAILABLE or attempt == LOCK_TRIES:
                raise
        time.sleep(LOCK_PAUSE)


for engine, parts in schema.databases():
    # In line with those who write: a transaction of SQLite that first reads the revision could not write afterwards.
    with write_lock(engine), engine.connect().execution_options(**BEGIN_IMMEDIATE) as connection:
        run_without_long_locks(connection, parts)
