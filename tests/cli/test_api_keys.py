"""Keys of the HTTP API from the command line."""

from __future__ import annotations

import pytest
import redis
from flask.testing import FlaskCliRunner

from config import Config


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the commands only call services."""
    return sqlite_config


def test_a_key_is_made_listed_and_revoked(runner: FlaskCliRunner) -> None:
    made = runner.invoke(args=["api-keys", "create", "Shop", "--scope", "read", "--scope", "confirm", "--test"])
    assert made.output.startswith("sms_test_")
    assert made.output.strip() not in runner.invoke(args=["api-keys", "list"]).output
    assert "read confirm" in runner.invoke(args=["api-keys", "list"]).output
    assert runner.invoke(args=["api-keys", "create", "Shop", "--scope", "read"]).exit_code == 1
    assert "Shop: revoked" in runner.invoke(args=["api-keys", "revoke", "Shop"]).output
    assert "revoked" in runner.invoke(args=["api-keys", "list"]).output
    assert runner.invoke(args=["api-keys", "revoke", "Nobody"]).exit_code == 1
