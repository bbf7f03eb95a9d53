"""flask move sqlite-to-postgresql."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.services.platform import clock
from smsapp.services.sending import recovery
from smsapp.store import periodic_queue
from smsapp.store.db import current_session
from tests import builders
from tests.services.test_moving import address, config

__all__ = ["address", "config"]


def test_each_table_is_told_and_where_to_go_on(
    app: Flask, config: Config, runner: FlaskCliRunner, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an installation with three contacts
    monkeypatch.setenv("INSTANCE_DIR", str(config.INSTANCE_DIR))
    monkeypatch.setenv("TARGET_DATABASE_URL", address)
    recovery.check(clock.now())
    builders.contacts(3)
    current_session().commit()
    move = ["move", "sqlite-to-postgresql"]
    # when it is asked whether it can be moved, nothing is
    looked = runner.invoke(args=[*move, "--check"])
    assert (looked.exit_code, looked.output[:31]) == (0, "Everything can be moved to Post")
    assert (config.INSTANCE_DIR / "smsapp.db").exists()
    # when it is moved, each table is told with its checksum
    moved = runner.invoke(args=move)
    assert moved.exit_code == 0, moved.output
    (line,) = [line for line in moved.output.splitlines() if line.startswith("contact ")]
    assert line.split()[1] == "3"
    assert "and equal" in moved.output
    assert "DIFFERS" not in moved.output
    assert not (config.INSTANCE_DIR / "smsapp.db").exists()
    # and no password was printed
    assert address not in moved.output


def test_it_is_refused_while_a_scheduler_runs(
    app: Flask, config: Config, runner: FlaskCliRunner, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTANCE_DIR", str(config.INSTANCE_DIR))
    monkeypatch.setenv("TARGET_DATABASE_URL", address)
    periodic_queue.periodic_scheduler().tick()
    refused = runner.invoke(args=["move", "sqlite-to-postgresql"])
    assert refused.exit_code == 1
    assert "Stop everything first" in refused.output
