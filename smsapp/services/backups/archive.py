"""The file of a backup: a compressed tar, its manifest last, encrypted if asked. Written and read as a stream."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from smsapp.domain.errors import Problem, Refusal
from smsapp.services.backups.envelope import Decrypting, Encrypting, is_encrypted

FORMAT = 1
MANIFEST = "manifest.json"
LONGEST_MANIFEST = 10_000_000
CHUNK = 1024 * 1024
FAST = 1
"""Level of compression: databases shrink to a third at it already."""
NAMES = re.compile(
    r"(database|inbox|uploads/[\w-]{1,100}(\.table)?|keys/(secret|encryption)\.key|manifest\.json)", re.ASCII
)
"""What a backup may hold; nothing else is put anywhere. A translated upload is named `.table`."""

Progress = Callable[[str, int, int], None]
"""Is told what is done, and of how many bytes (or pages) so many are."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and of which moment."""

    version: str
    made_at: str
    """ISO, UTC."""
    kind: str
    """"sqlite" or "postgresql"."""
    server: str
    revision: str
    """Of the schema."""
    generation: int
    """The ledger's mark: the journal tells what came after."""
    counts: dict[str, int]
    members: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Name -> (bytes, SHA-256)."""
    has_keys: bool = False
    format: int = FORMAT


class Writer:
    """Writes members into a backup; `finish` adds the manifest."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, tuple[int, str]] = {}

    def add(self, name: str, path: Path, progress: Progress) -> None:
        """Add a file; raise ValueError for a name that `unpack` would refuse."""
        if not NAMES.fullmatch(name):
            raise ValueError("a backup holds no file of this name")
        size = path.stat().st_size
        with path.open("rb") as file:
            source = _Hashing(file, lambda done: progress(name, done, size))
            self._put(name, size, source)
        self._members[name] = (size, source.digest)

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest; nothing comes after it."""
        content = json.dumps(asdict(manifest) | {"members": self._members}, ensure_ascii=False).encode()
        self._put(MANIFEST, len(content), io.BytesIO(content))

    def _put(self, name: str, size: int, source: Any) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, source)


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes], progress: Callable[[int], None]) -> None:
        self._file, self._progress = file, progress
        self._hash, self._done = hashlib.sha256(), 0

    def read(self, size: int = CHUNK) -> bytes:
        data = self._file.read(min(size, CHUNK))
        self._hash.update(data)
        self._done += len(data)
        self._progress(self._done)
        return data

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


@contextlib.contextmanager
def written(target: Path, passphrase: str) -> Iterator[Writer]:
    """Open a backup to write; it gets its name once it is whole and on the disk. Nobody else can read it."""
    unfinished = target.with_name(f".{target.name}.part")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            sealed = Encrypting(file, passphrase) if passphrase else None
            out = cast("IO[bytes]", sealed or file)
            with (
                gzip.GzipFile(fileobj=out, mode="wb", compresslevel=FAST, filename="", mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w|") as tar,
            ):
                yield Writer(tar)
            if sealed is not None:
                sealed.close()
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def needs_passphrase(path: Path) -> bool:
    """Return whether this backup is encrypted."""
    with path.open("rb") as file:
        return is_encrypted(file)


def unpack(path: Path, passphrase: str, folder: Path, progress: Progress) -> Manifest:
    """Unpack a backup into this empty folder and check it whole; return its manifest.

    Raises Refusal if it is damaged, cut off, or encrypted with another passphrase.
    """
    seen: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            source = Decrypting(file, passphrase) if is_encrypted(file) else file
            with (
                gzip.GzipFile(fileobj=cast("IO[bytes]", source)) as packed,
                tarfile.open(fileobj=packed, mode="r|") as tar,
            ):
                for member in tar:
                    content = tar.extractfile(member)
                    if manifest is not None or content is None or not NAMES.fullmatch(member.name):
                        raise Refusal(Problem("backup_damaged"))
                    if member.name == MANIFEST:
                        manifest = _manifest(content.read(LONGEST_MANIFEST))
                    else:
                        seen[member.name] = _unpack_member(content, folder / member.name)
                    progress("read", file.tell(), size)
    except (OSError, EOFError, tarfile.TarError, zlib.error):
        raise Refusal(Problem("backup_damaged")) from None
    if manifest is None or seen != {name: tuple(facts) for name, facts in manifest.members.items()}:
        raise Refusal(Problem("backup_damaged"))
    return manifest


def _unpack_member(content: IO[bytes], path: Path) -> tuple[int, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while data := content.read(CHUNK):
            digest.update(data)
            size += len(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _manifest(content: bytes) -> Manifest:
    try:
        facts = json.loads(content)
        if facts["format"] != FORMAT:
            raise Refusal(Problem("backup_format"))
        return Manifest(**facts)
    except (ValueError, KeyError, TypeError):
        raise Refusal(Problem("backup_damaged")) from None
