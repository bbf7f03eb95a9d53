"""The statements that reach the database while a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from smsapp.store.db import db


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield the list of them, without what opens a transaction; it grows while the block lasts."""
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(("BEGIN", "SET LOCAL")):
            asked.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", listen)
    try:
        yield asked
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", listen)
