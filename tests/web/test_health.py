"""/healthz and /readyz: open to everybody, say what is missing, tell no secrets."""

from __future__ import annotations

import dataclasses

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from smsapp.store import periodic_queue, queue
from smsapp.store import settings as stored_settings
from smsapp.store.db import db


def test_everything_answers(app: Flask) -> None:
    periodic_queue.periodic_scheduler().tick()
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (
        200,
        {
            "database": True,
            "schema": True,
            "redis": True,
            "redis_writes": True,
            "keys": True,
            "workers": 0,
            "scheduler": True,
        },
    )


def test_without_redis_it_is_alive_but_not_ready(app: Flask) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("redis://:geheim@127.0.0.1:1/0")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["database"], answer.json["redis"]) == (True, False)
    assert "geheim" not in answer.text
    assert app.test_client().get("/healthz").json == {"alive": True}


def test_a_redis_that_refuses_writes_is_not_ready(app: Flask, valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory", "1")
    try:
        answer = app.test_client().get("/readyz")
    finally:
        valkey.config_set("maxmemory", "0")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["redis"], answer.json["redis_writes"]) == (True, False)


@pytest.mark.parametrize("key", ["too short", "geheim,dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE="])
def test_keys_that_are_none_are_not_ready(app: Flask, key: str) -> None:
    config = dataclasses.replace(stored_settings.settings(), ENCRYPTION_KEY=key)
    app.extensions[stored_settings.EXTENSION] = config
    answer = app.test_client().get("/readyz")
    assert answer.json is not None
    assert (answer.status_code, answer.json["keys"], "geheim" in answer.text) == (503, False, False)


def test_an_older_schema_is_not_ready(app: Flask) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["database"], answer.json["schema"]) == (True, False)
