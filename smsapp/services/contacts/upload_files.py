"""The files of uploaded contacts on the disk: named, and removed when no import names them any more."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path

from smsapp.store.contacts import imports as store
from smsapp.store.db import current_session
from smsapp.store.settings import settings

PREFIX = "contacts-"


def folder() -> Path:
    return settings().INSTANCE_DIR / "uploads"


def new_path() -> Path:
    """Return a path that no file has."""
    folder().mkdir(parents=True, exist_ok=True)
    return folder() / f"{PREFIX}{secrets.token_hex(12)}"


def table_path(path: Path) -> Path:
    """Return where the table is written that an uploaded file becomes."""
    return path.with_name(f"{path.name}.table")


def remove_tables(path: Path) -> None:
    """Remove what was being made of an uploaded file."""
    for leftover in path.parent.glob(f"{path.name}.*"):
        leftover.unlink(missing_ok=True)


def remove_nameless(before: dt.datetime) -> int:
    """Remove files last written before that moment that no import names, as a worker that died leaves; return how many.

    What is being made of a file that an import names stays.
    """
    old = [path for path in folder().glob(f"{PREFIX}*") if path.stat().st_mtime < before.timestamp()]
    named = store.named_paths(current_session(), {name for path in old for name in (path.name, path.stem)})
    nameless = [path for path in old if named.isdisjoint((path.name, path.stem))]
    for path in nameless:
        path.unlink(missing_ok=True)
    return len(nameless)
