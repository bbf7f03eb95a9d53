"""The journal: what must be known even if the database is lost, in files of the instance folder.

It tells of claims, new runs, opt-outs, and people and AppKeys that were shut out. Whoever changes such a thing notes it
in the transaction; as its last statement the transaction raises the generation of the ledger's mark, and once it is
committed its entries are appended under that number, before anything leaves. So an entry above the database's own
generation tells of something that this database, an older copy, does not know.

An entry is a line of JSON: [generation, kind, ..]. Each host has files of its own: a shared folder need not append for
two hosts. Phone numbers are sealed with the encryption key.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app
from sqlalchemy.orm import Session

from smsapp.store.runs.ledger_mark import raise_generation
from smsapp.store.settings import encryption_keys, settings, stored_secret

FOLDER = "journal"
CLAIM, RUN, OPT_OUT, OPT_IN, PERSON, APP_KEY = "claim", "run", "opt_out", "opt_in", "person", "app_key"
PROOF = "proof"
GENERATIONS_PER_FILE = 100_000
TAIL = 65_536
"""Bytes at the end of a file in which the newest entry surely is, though processes append out of order."""
LITTLE_SPACE = 16 * 1024 * 1024
"""Bytes that must be free before anything is claimed: a claim that cannot be noted must not leave."""
SEALED_AT_ONCE = 500
NOTED = "smsapp.journal"
EXTENSION = "smsapp.journal"


class Entry(NamedTuple):
    """A line of the journal."""

    generation: int
    kind: str
    facts: list[Any]


def note(session: Session, kind: str, *facts: Any) -> None:
    """Have this transaction leave an entry in the journal once it is committed. `facts` hold no phone numbers."""
    session.info.setdefault(NOTED, []).append((kind, *facts))


def note_sealed(session: Session, kind: str, items: Sequence[Any]) -> None:
    """As `note`, for items with phone numbers, which are sealed; many to an entry."""
    for start in range(0, len(items), SEALED_AT_ONCE):
        chunk = json.dumps(items[start : start + SEALED_AT_ONCE]).encode()
        note(session, kind, _seal().encrypt(chunk).decode())


def opened(entry: Entry) -> list[Any] | None:
    """Return the sealed items of an entry; None if the present keys do not open it."""
    try:
        items: list[Any] = json.loads(_seal().decrypt(entry.facts[0].encode()))
    except InvalidToken:
        return None
    return items


def _seal() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in encryption_keys(settings())])


@sa.event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    if session.info.get(NOTED) and not session.in_nested_transaction():  # no savepoint's
        session.flush()
        session.info[f"{NOTED}.generation"] = raise_generation(session)


@sa.event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    if session.in_nested_transaction():
        return
    if noted := session.info.pop(NOTED, None):
        append(session.info.pop(f"{NOTED}.generation"), noted)


@sa.event.listens_for(Session, "after_rollback")
def _after_rollback(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.info.pop(NOTED, None)


# -- the files --------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Return the journal's folder."""
    return settings().INSTANCE_DIR / FOLDER


def journal_id(*, make: bool = False) -> str:
    """Return the id of the journal in this instance folder; "" if there is none and none is to be made."""
    file = folder() / "id"
    if make:
        return stored_secret(file, secrets.token_hex(16))
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def append(generation: int, noted: Sequence[tuple[Any, ...]]) -> None:
    """Append entries under this number. It survives the death of any process; `sync` makes it survive the machine's."""
    _newest().append(generation)
    lines = "".join(json.dumps([generation, *entry], separators=(",", ":")) + "\n" for entry in noted)
    path = folder() / _name(generation)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        folder().mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)
    try:
        os.write(file, lines.encode())
    finally:
        os.close(file)


def newest() -> int:
    """Return the highest generation that this process has noted; 0 if none."""
    return max(_newest(), default=0)


def _newest() -> deque[int]:
    """Return the latest generations of this process, whose threads note at the same time."""
    latest: deque[int] = current_app.extensions.setdefault(EXTENSION, deque(maxlen=8))
    return latest


def sync(generation: int) -> None:
    """Have the disk hold what this host has appended up to this number."""
    with contextlib.suppress(FileNotFoundError):
        file = os.open(folder() / _name(generation), os.O_RDONLY)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)


def _name(generation: int) -> str:
    return f"{generation // GENERATIONS_PER_FILE:08d}-{platform.node()}.jsonl"


def has_space() -> bool:
    """Return whether the disk surely takes the next entries."""
    status = os.statvfs(settings().INSTANCE_DIR)
    return status.f_bavail * status.f_frsize > LITTLE_SPACE


def highest() -> int:
    """Return the highest generation of any host; 0 if nothing was noted yet."""
    newest: dict[str, Path] = {}
    for path in sorted(folder().glob("*.jsonl")):
        newest[path.name.partition("-")[2]] = path
    return max((_highest_in(path) for path in newest.values()), default=0)


def _highest_in(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return max((entry.generation for entry in map(_read, file) if entry), default=0)


def after(generation: int) -> Iterator[Entry]:
    """Yield the entries above this number, file by file: of several hosts not in the order of their numbers."""
    for path in sorted(folder().glob("*.jsonl")):
        if (int(path.name.partition("-")[0]) + 1) * GENERATIONS_PER_FILE > generation:
            with path.open("rb") as file:
                for line in file:
                    if (entry := _read(line)) is not None and entry.generation > generation:
                        yield entry


def _read(line: bytes) -> Entry | None:
    """Return the entry of a line; None if it was cut off when the machine died."""
    try:
        generation, kind, *facts = json.loads(line)
        return Entry(int(generation), str(kind), facts)
    except (ValueError, TypeError):
        return None


def forget(before: float) -> int:
    """Remove files last written before this moment (Unix seconds), but never the newest of a host; return how many."""
    by_host: dict[str, list[Path]] = {}
    for path in sorted(folder().glob("*.jsonl")):
        by_host.setdefault(path.name.partition("-")[2], []).append(path)
    old = [path for paths in by_host.values() for path in paths[:-1] if path.stat().st_mtime < before]
    for path in old:
        path.unlink()
    return len(old)
