"""flask doctor: plain words about what is wrong, and an exit code."""

from __future__ import annotations

from pathlib import Path

import flask_migrate
import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.store import queue
from smsapp.store.db import current_session, db
from smsapp.store.receipts import inbox
from smsapp.store.runs.runs import Run
from tests import builders


@pytest.fixture(autouse=True)
def _same_settings(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTANCE_DIR", str(config.INSTANCE_DIR))
    monkeypatch.setenv("REDIS_URL", config.redis_url)


def said(runner: FlaskCliRunner, exit_code: int) -> str:
    result = runner.invoke(args=["doctor"])
    assert result.exit_code == exit_code, result.output
    return result.output


def test_nobody_listening_is_wrong(app: Flask, runner: FlaskCliRunner) -> None:
    answer = said(runner, 1)
    assert "No worker listens" in answer
    assert "No scheduler is awake" in answer
    assert "its schema fits this version" in answer
    assert "Nobody can sign in yet" in answer
    assert "2 to put right" in answer


def test_a_dead_redis_is_named(app: Flask, runner: FlaskCliRunner) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere.sock")
    assert "Redis does not answer; look at REDIS_URL." in said(runner, 1)


def test_an_older_schema_comes_with_its_remedy(app: Flask, runner: FlaskCliRunner) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert "run: flask db upgrade" in said(runner, 1)


def test_an_empty_database_comes_with_its_remedy(app: Flask, runner: FlaskCliRunner) -> None:
    for engine in db.engines.values():
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE alembic_version"))
    assert "is empty; run: flask db upgrade" in said(runner, 1)


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
def test_a_lost_inbox_comes_with_its_remedy(app: Flask, runner: FlaskCliRunner) -> None:
    inbox.engine().dispose()
    Path(str(inbox.engine().url.database)).unlink()
    assert "run: flask db upgrade" in said(runner, 1)
    flask_migrate.upgrade()
    assert "its schema fits this version" in said(runner, 1)


def test_keys_others_can_read_are_wrong(runner: FlaskCliRunner, config: Config) -> None:
    key = Path(config.INSTANCE_DIR / "encryption.key")
    key.write_text("x")
    key.chmod(0o644)
    assert f"run: chmod 600 {key}" in said(runner, 1)


def test_https_without_secure_cookies_is_wrong(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://sms.example.com")
    answer = said(runner, 1)
    assert "set SECURE_COOKIES=1" in answer
    assert "TRUSTED_PROXIES is empty" in answer


def test_a_campaign_nobody_started_is_wrong(app: Flask, runner: FlaskCliRunner) -> None:
    late = builders.campaign(status="waiting", next_due_at=builders.LONG_AGO)
    assert f"Campaigns past their time that nobody started: {late.id}" in said(runner, 1)


def test_numbers_that_do_not_add_up_are_wrong(app: Flask, runner: FlaskCliRunner) -> None:
    campaign = builders.campaign()
    run = Run(
        campaign_id=campaign.id,
        slot=builders.LONG_AGO,
        state="done",
        verdict="sent",
        channel_id=campaign.channel_id or 0,
        target=3,
        planned=3,
        opened_at=builders.LONG_AGO,
    )
    current_session().add(run)
    current_session().commit()
    assert f"The numbers of run {run.id} do not add up" in said(runner, 1)


def test_a_channel_sealed_with_another_key_is_wrong(app: Flask, runner: FlaskCliRunner) -> None:
    builders.channel(name="旧通道", secrets=b"gAAAAAB-not-ours")
    assert "The secrets of channel 旧通道 do not open" in said(runner, 1)


def test_templates_that_could_not_be_compared_are_noted(app: Flask, runner: FlaskCliRunner) -> None:
    trouble = {"at": "2026-03-02T02:00:00+00:00", "result": "account_error", "outcome": "credentials", "code": ""}
    builders.channel(name="阿里", templates_trouble=trouble)
    assert "The templates of channel 阿里 could not be compared (account_error, credentials)" in said(runner, 1)


def test_a_redis_that_drops_jobs_when_full_is_wrong(runner: FlaskCliRunner, valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory", "100mb")
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    try:
        answer = said(runner, 1)
    finally:
        valkey.config_set("maxmemory", "0")
        valkey.config_set("maxmemory-policy", "noeviction")
    assert "set maxmemory-policy noeviction" in answer
    assert "keeps nothing on disk" in answer
