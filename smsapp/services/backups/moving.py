"""Moves an installation from SQLite to PostgreSQL: every row, compared; then SQLite's files are set aside."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config import HERE
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.platform import schema_check
from smsapp.store.backups import sqlite_copy, transfer, transfer_target
from smsapp.store.backups.transfer import Progress, TableSum
from smsapp.store.db import current_session, db, dialect
from smsapp.store.settings import settings

LINES_OF_TROUBLE = 5


@dataclass(frozen=True)
class MovedTable:
    """A table as SQLite held it and as PostgreSQL holds it now."""

    name: str
    before: TableSum
    after: TableSum

    @property
    def is_equal(self) -> bool:
        """Whether nothing was lost or changed."""
        return self.before == self.after


@dataclass(frozen=True)
class Moved:
    """What a move has done."""

    tables: list[MovedTable]
    aside: Path | None
    """The folder with SQLite's files; None if something differs, and they stay where they were."""


def check(address: str) -> str:
    """Return kind and version of the database at this address, if everything can be moved to it. Changes nothing.

    Raises Refusal if it is no empty PostgreSQL, or if the present database is not SQLite or of another schema.
    """
    if dialect() != "sqlite":
        raise Refusal(Problem("move_not_from_sqlite"))
    schema_check.check()
    with transfer_target.opened(address) as target:
        return transfer_target.server(target)


def move(address: str, now: dt.datetime, progress: Progress) -> Moved:
    """Copy everything to the empty PostgreSQL at this address, compare, and set SQLite's files aside.

    Nobody writes to SQLite meanwhile. Raises Refusal if that is impossible, a value does not fit, or the server
    fails; SQLite is as it was then.
    """
    check(address)
    _make_schema(address)
    current_session().close()
    with transfer_target.opened(address) as target, transfer.source() as sources:
        before = transfer_target.fill(target, sources, progress)
        after = transfer_target.totals(target, before, progress)
        tables = [MovedTable(name, before[name], after[name]) for name in before]
        aside = _set_aside(now) if all(table.is_equal for table in tables) else None
    for engine in db.engines.values():
        engine.dispose()
    return Moved(tables, aside)


def _set_aside(now: dt.datetime) -> Path:
    aside = Path(tempfile.mkdtemp(prefix=f"moved-{now:%Y%m%d-%H%M%S}-", dir=settings().INSTANCE_DIR))
    sqlite_copy.set_aside(aside)
    return aside


def _make_schema(address: str) -> None:
    """Have the target brought to the newest schema by the command that does it for every installation."""
    upgraded = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi.py", "db", "upgrade"],
        cwd=HERE,
        env=os.environ | {"DATABASE_URL": address, "INSTANCE_DIR": str(settings().INSTANCE_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    if upgraded.returncode:
        reason = " ".join(upgraded.stderr.strip().splitlines()[-LINES_OF_TROUBLE:])
        raise Refusal(Problem("move_schema", facts={"reason": reason}))
