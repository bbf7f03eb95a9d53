"""/healthz: open to everybody, says what is missing, tells no secrets."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from smsapp.store import queue
from smsapp.store.db import db


def test_everything_answers(app: Flask) -> None:
    queue.periodic_scheduler().tick()
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (
        200,
        {"database": True, "schema": True, "redis": True, "redis_writes": True, "workers": 0, "scheduler": True},
    )


def test_without_redis_it_is_not_ready(app: Flask) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("redis://:geheim@127.0.0.1:1/0")
    answer = app.test_client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["database"], answer.json["redis"]) == (True, False)
    assert "geheim" not in answer.text


def test_an_older_schema_is_not_ready(app: Flask) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    answer = app.test_client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["database"], answer.json["schema"]) == (True, False)
