"""flask backup and flask restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.services.platform import clock
from smsapp.services.sending import recovery
from smsapp.store import periodic_queue
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders
from tests.backups import tools

pytestmark = pytest.mark.usefixtures("tools")
__all__ = ["tools"]
Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, config: Config, runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("INSTANCE_DIR", str(config.INSTANCE_DIR))
    recovery.check(clock.now())

    def call(*words: str, **environment: str) -> Result:
        current_session().commit()
        return runner.invoke(args=list(words), env=environment)

    return call


def people() -> int:
    current_session().commit()
    return current_session().scalar(sa.select(sa.func.count()).select_from(Contact)) or 0


def test_a_backup_goes_back_and_says_what_it_does(run: Run, tmp_path: Path) -> None:
    builders.contacts(3)
    file = tmp_path / "a.backup"
    made = run("backup", str(file))
    assert made.exit_code == 0, made.output
    assert "3 contacts" in made.output
    assert "It is not encrypted" in made.output
    builders.contacts(2)
    # it refuses to replace what is there, and shows what it would do
    refused = run("restore", str(file))
    assert refused.exit_code == 1
    assert "It replaces 0 people, 5 contacts" in refused.output
    assert "--yes-replace" in refused.output
    assert people() == 5
    looked = run("restore", str(file), "--check")
    assert looked.exit_code == 0
    assert people() == 5
    done = run("restore", str(file), "--yes-replace")
    assert done.exit_code == 0, done.output
    assert "Restored. Nothing was sent since the backup" in done.output
    assert people() == 3


def test_an_encrypted_backup_holds_the_keys_and_opens_with_its_passphrase_only(
    run: Run, tmp_path: Path, config: Config
) -> None:
    key = config.INSTANCE_DIR / "secret.key"
    key.write_text("theirs")
    file = tmp_path / "a.backup"
    made = run("backup", str(file), "--encrypt", BACKUP_PASSPHRASE="four words are enough")
    assert made.exit_code == 0, made.output
    assert "holds the keys" in made.output
    assert b"theirs" not in file.read_bytes()
    key.unlink()
    wrong = run("restore", str(file), BACKUP_PASSPHRASE="another one entirely")
    assert wrong.exit_code == 1
    assert "The passphrase does not open this backup." in wrong.output
    assert run("restore", str(file), BACKUP_PASSPHRASE="four words are enough").exit_code == 0
    assert key.read_text() == "theirs"


def test_a_short_passphrase_is_refused(run: Run, tmp_path: Path) -> None:
    refused = run("backup", str(tmp_path), "--encrypt", BACKUP_PASSPHRASE="short")
    assert refused.exit_code == 1
    assert list(tmp_path.glob("*.backup")) == []


def test_a_damaged_backup_touches_nothing(run: Run, tmp_path: Path) -> None:
    builders.contacts(3)
    file = tmp_path / "a.backup"
    run("backup", str(file))
    file.write_bytes(file.read_bytes()[:-50])
    refused = run("restore", str(file), "--yes-replace")
    assert refused.exit_code == 1
    assert "no whole backup" in refused.output
    assert people() == 3


def test_nothing_is_restored_under_a_running_scheduler(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.backup"
    run("backup", str(file))
    periodic_queue.periodic_scheduler().tick()
    refused = run("restore", str(file), "--yes-replace")
    assert refused.exit_code == 1
    assert "Stop everything first" in refused.output
