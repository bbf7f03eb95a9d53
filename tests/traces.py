"""Everything the application has stored, as text and bytes, to look for what must not be there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa

from smsapp.store.db import Base, current_session, db, dialect
from smsapp.store.receipts import inbox
from smsapp.store.settings import settings
from tests.conftest import dispose


def cells() -> Iterator[tuple[str, str]]:
    """Yield ("table.column", value as text) of every value of every table."""
    current_session().commit()
    for table in [*Base.metadata.sorted_tables, *inbox.metadata.sorted_tables]:
        engine = inbox.engine() if table.metadata is inbox.metadata else db.engine
        with engine.connect() as connection:
            names = [column.name for column in table.columns]
            for row in connection.execute(sa.text(f'SELECT {", ".join(map(_quoted, names))} FROM "{table.name}"')):
                for name, value in zip(names, row, strict=True):
                    yield f"{table.name}.{name}", _text(value)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def places_of(*planted: str) -> dict[str, set[str]]:
    """Return planted text -> the columns that hold it."""
    places: dict[str, set[str]] = {}
    for where, text in cells():
        for secret in planted:
            if secret in text:
                places.setdefault(secret, set()).add(where)
    return places


def files(folder: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of every file of the instance folder, SQLite's among them, as they lie on the disk."""
    dispose()
    folder = folder or settings().INSTANCE_DIR
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def files_with(*planted: str) -> dict[str, set[str]]:
    """Return planted text -> the files that hold it."""
    places: dict[str, set[str]] = {}
    for name, content in files():
        for secret in planted:
            if secret.encode() in content:
                places.setdefault(secret, set()).add(name)
    return places


def keys_with(client: redis.Redis, *planted: str) -> dict[str, set[str]]:
    """Return planted text -> the keys of Redis that hold it, in their name or their value."""
    places: dict[str, set[str]] = {}
    for key in client.scan_iter(count=1000):
        content = key + b"\0" + (client.dump(key) or b"")
        for secret in planted:
            if secret.encode() in content:
                places.setdefault(secret, set()).add(key.decode("latin-1"))
    return places


def is_on_sqlite() -> bool:
    return dialect() == "sqlite"
