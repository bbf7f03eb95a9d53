"""Puts a backup back: it is unpacked and checked whole before anything is touched."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smsapp.domain.errors import Problem, Refusal
from smsapp.services.backups import archive
from smsapp.services.backups.archive import Manifest, Progress
from smsapp.services.backups.backing_up import KEYS
from smsapp.store import journal, queue, schema
from smsapp.store.backups import postgresql_copy, sqlite_copy
from smsapp.store.db import current_session, db, dialect
from smsapp.store.settings import settings


@dataclass(frozen=True)
class Unpacked:
    """A backup that was checked and lies in a folder beside the instance's files."""

    manifest: Manifest
    folder: Path
    present: dict[str, int]
    """What the database holds that would be replaced; {} if there is none."""
    journal_at: int
    """How far the journal in the instance folder reaches; 0 if there is none."""

    @property
    def is_filled(self) -> bool:
        """Whether there is a database with something in it."""
        return any(self.present.values())


@contextmanager
def unpacked(path: Path, passphrase: str, progress: Progress) -> Iterator[Unpacked]:
    """Unpack and check a backup; nothing of the instance is touched. The copy is removed afterwards.

    Raises Refusal if it is damaged, of another kind of database, or newer than this code.
    """
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings().INSTANCE_DIR) as folder:
        manifest = archive.unpack(path, passphrase, Path(folder), progress)
        if manifest.kind != dialect():
            raise Refusal(Problem("backup_other_database", facts={"kind": manifest.kind, "present": dialect()}))
        if manifest.revision not in schema.known_revisions():
            raise Refusal(Problem("backup_newer", facts={"found": manifest.revision, "version": manifest.version}))
        present = postgresql_copy.counts() if dialect() == "postgresql" else sqlite_copy.counts()
        yield Unpacked(manifest, Path(folder), present, journal.highest())


def refuse_if_running() -> None:
    """Raise Refusal if workers or a scheduler are at work: they would go on in the middle of it."""
    state = queue.queue_health()
    if state.workers or state.scheduler:
        raise Refusal(Problem("backup_running"))


def put_in_place(backup: Unpacked, now: dt.datetime, progress: Progress) -> Path | None:
    """Replace the database by the backup's; callbacks and requests that only the present inbox holds are kept.

    Returns the folder with what was there before (SQLite). Afterwards the schema has to be upgraded, and
    `recovery.check` called. Raises Refusal if PostgreSQL's tools fail; the backup can then be restored again.
    """
    current_session().close()
    for engine in db.engines.values():
        engine.dispose()
    folder = settings().INSTANCE_DIR
    aside = None
    if dialect() == "postgresql":
        postgresql_copy.restore(
            backup.folder / "database",
            backup.manifest.made_at,
            backup.folder,
            lambda done, size: progress("database", done, size),
        )
    else:
        aside = Path(tempfile.mkdtemp(prefix=f"replaced-{now:%Y%m%d-%H%M%S}-", dir=folder))
        sqlite_copy.keep_newer_rows(sqlite_copy.files()["inbox"], backup.folder / "inbox")
        sqlite_copy.put_in_place({name: backup.folder / name for name in ("inbox", "database")}, aside)
    for path in (backup.folder / "uploads").glob("*"):
        _put_file(path, folder / "uploads" / path.name)
    for name in KEYS:
        if (backup.folder / "keys" / name).exists():
            _put_key(backup.folder / "keys" / name, folder / name)
    return aside


def _put_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.move(source, target)
        target.chmod(0o600)


def _put_key(source: Path, target: Path) -> None:
    """Put a key in its place; beside another encryption key it goes behind it, so that both open what they sealed."""
    old = source.read_text().strip()
    present = target.read_text().strip() if target.exists() else ""
    if not present:
        _put_file(source, target)
    elif target.name == "encryption.key" and not set(old.split(",")) <= set(present.split(",")):
        unfinished = target.with_name(f".{target.name}.part")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{present},{old}")
        unfinished.rename(target)
