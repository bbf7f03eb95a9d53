"""Runs migrations on the application's own engines; the same ones on SQLite and PostgreSQL.

New ones are generated on SQLite (`flask db migrate`), where each part is a file: that tells whose a change is.
"""

import importlib
import pkgutil

from alembic import context

from smsapp import store
from smsapp.store import schema
from smsapp.store.db import BigId, Json, UtcDateTime

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


for engine, parts in schema.databases():
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=[schema.PARTS[part] for part in parts],
            upgrade_token=f"{parts[0]}_upgrades",
            downgrade_token=f"{parts[0]}_downgrades",
            render_as_batch=True,
            compare_type=True,
            render_item=render_item,
        )
        with context.begin_transaction():
            context.run_migrations(parts=parts)
        connection.commit()
