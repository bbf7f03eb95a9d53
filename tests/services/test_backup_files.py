"""The file of a backup: whole or not at all, readable by its owner only, encrypted if asked."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from smsapp.domain.errors import Refusal
from smsapp.services.backups import archive
from smsapp.services.backups.archive import Manifest
from smsapp.services.backups.envelope import BLOCK, Decrypting, Encrypting
from tests.backups import silent

PASSPHRASE = "four words are enough"
MANIFEST = Manifest("1", "2026-03-02T02:00:00+00:00", "sqlite", "SQLite 3", "0001", 7, {"contact": 2})


def sealed(content: bytes) -> bytes:
    file = io.BytesIO()
    out = Encrypting(file, PASSPHRASE)
    for start in range(0, len(content), 300_000):
        out.write(content[start : start + 300_000])
    out.close()
    return file.getvalue()


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_what_was_encrypted_is_read_again(size: int) -> None:
    content = os.urandom(size)
    assert Decrypting(io.BytesIO(sealed(content)), PASSPHRASE).read() == content


def test_a_wrong_passphrase_is_told_from_a_damaged_file() -> None:
    with pytest.raises(Refusal, match="backup_passphrase"):
        Decrypting(io.BytesIO(sealed(b"x")), "another one entirely").read()


def blocks(content: bytes) -> tuple[bytes, list[bytes]]:
    """Return the header and the blocks with their lengths."""
    file = io.BytesIO(content)
    header, result = file.readline(), []
    while length := file.read(4):
        result.append(length + file.read(int.from_bytes(length, "big")))
    return header, result


def test_blocks_can_be_neither_cut_off_nor_exchanged_nor_changed() -> None:
    header, parts = blocks(sealed(os.urandom(3 * BLOCK)))
    assert len(parts) == 3
    changed = bytearray(parts[1])
    changed[40] ^= 1
    for forged in (parts[:2], [parts[1], parts[0], parts[2]], [parts[0], bytes(changed), parts[2]], parts[:1]):
        with pytest.raises(Refusal, match="backup_"):
            Decrypting(io.BytesIO(header + b"".join(forged)), PASSPHRASE).read()


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return written(tmp_path, "")


def written(folder: Path, passphrase: str) -> Path:
    source, target = folder / "source", folder / "a.backup"
    source.write_bytes(b"rows" * 100_000)
    with archive.written(target, passphrase) as writer:
        writer.add("database", source, silent)
        writer.finish(MANIFEST)
    return target


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_a_backup_is_read_again_with_its_manifest(tmp_path: Path, passphrase: str) -> None:
    target = written(tmp_path, passphrase)
    assert archive.needs_passphrase(target) is bool(passphrase)
    assert target.stat().st_mode & 0o777 == 0o600
    manifest = archive.unpack(target, passphrase, tmp_path / "out", silent)
    assert (manifest.generation, manifest.counts) == (7, {"contact": 2})
    assert (tmp_path / "out" / "database").read_bytes() == (tmp_path / "source").read_bytes()


def test_nothing_has_the_name_of_a_backup_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.backup"
    with pytest.raises(RuntimeError), archive.written(target, ""):
        raise RuntimeError("the disk is full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_backup_that_is_cut_off_is_refused(tmp_path: Path, backup: Path, share: float) -> None:
    content = backup.read_bytes()
    backup.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Refusal, match="backup_damaged"):
        archive.unpack(backup, "", tmp_path / "out", silent)


def test_a_backup_that_was_changed_is_refused(tmp_path: Path, backup: Path) -> None:
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 0xFF
    backup.write_bytes(bytes(content))
    with pytest.raises(Refusal, match="backup_damaged"):
        archive.unpack(backup, "", tmp_path / "out", silent)


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "uploads/../x", "keys/other", "uploads/", "uploads/x.sh"]
)
def test_a_forged_backup_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    target = tmp_path / "forged.backup"
    content = json.dumps({"format": 1}).encode()
    with tarfile.open(target, "w:gz") as tar:
        for member, data in ((name, b"x"), ("manifest.json", content)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(Refusal, match="backup_damaged"):
        archive.unpack(target, "", tmp_path / "out", silent)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*"))


def test_a_name_that_could_not_be_unpacked_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(ValueError, match="no file of this name"), archive.written(tmp_path / "a", "") as writer:
        writer.add("uploads/x.sh", tmp_path / "source", silent)
