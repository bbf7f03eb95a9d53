"""What a process does before it is forked: no connection may be open in two processes."""

from __future__ import annotations

from smsapp.store.db import db


def disconnect() -> None:
    """Close all database connections of this process; they are opened again when they are needed."""
    db.session.remove()
    for engine in db.engines.values():
        engine.dispose()
