"""Makes a backup while everything runs."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

from smsapp.domain.version import VERSION
from smsapp.services.backups import archive
from smsapp.services.backups.archive import Manifest, Progress
from smsapp.store import schema
from smsapp.store.backups import copies, postgresql_copy, sqlite_copy
from smsapp.store.backups.copies import CopyFacts
from smsapp.store.db import current_session, dialect
from smsapp.store.settings import settings

KEYS = ("secret.key", "encryption.key")


def default_name(now: dt.datetime) -> str:
    """Return the name of a backup of this moment."""
    return f"smsapp-{now:%Y%m%d-%H%M%S}.backup"


def make(target: Path, passphrase: str, now: dt.datetime, progress: Progress) -> Manifest:
    """Write a backup, of one moment, to this file; with a passphrase it is encrypted and holds the keys, too.

    Raises Refusal if PostgreSQL's tools fail, OSError if the disk is full. Twice the size of the database must be free
    beside the file.
    """
    folder = settings().INSTANCE_DIR
    with (
        tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as staging,
        archive.written(target, passphrase) as writer,
    ):
        held = _copy_database(writer, Path(staging), progress)
        for name in copies.uploads_needed(current_session()):
            if (path := folder / "uploads" / name).exists():
                writer.add(f"uploads/{name}", path, progress)
        keys = [name for name in KEYS if (folder / name).exists()] if passphrase else []
        for name in keys:
            writer.add(f"keys/{name}", folder / name, progress)
        manifest = Manifest(
            version=VERSION,
            made_at=now.isoformat(timespec="seconds"),
            kind=dialect(),
            server=schema.server(),
            revision=held.revision,
            generation=held.generation,
            counts=held.counts,
            has_keys=bool(keys),
        )
        writer.finish(manifest)
    return manifest


def _copy_database(writer: archive.Writer, staging: Path, progress: Progress) -> CopyFacts:
    """Copy the database into the backup; on SQLite the inbox first: what is applied meanwhile is read twice."""
    if dialect() == "postgresql":
        path = staging / "database"
        held = postgresql_copy.dump(path, lambda done, size: progress("database", done, size))
        writer.add("database", path, progress)
        return held
    facts = CopyFacts("", 0, {})
    for name, file in sqlite_copy.files().items():
        path = staging / name
        sqlite_copy.copy(file, path, lambda done, pages, name=name: progress(name, done, pages))  # type: ignore[misc]
        writer.add(name, path, progress)
        if name == "database":
            facts = sqlite_copy.facts(path)
        path.unlink()
    return facts
