"""A web server that finds a schema it may not use says so, and begins once the upgrade is done."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from smsapp.store.db import db
from smsapp.store.schema import SchemaCompatibility, newest_revision
from smsapp.web import start_check


def set_revision(revision: str) -> None:
    for engine in db.engines.values():
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": revision})


def set_oldest_code(revision: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.update(SchemaCompatibility).values(oldest_code=revision))


def test_pages_wait_for_the_upgrade_and_begin_once_it_is_done(app: Flask) -> None:
    set_revision("0001")
    client = app.test_client()
    page = client.get("/sign-in")
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "5"
    assert "flask db upgrade" in page.text
    set_revision(newest_revision())
    assert client.get("/sign-in").status_code == 200


def test_a_provider_is_asked_to_come_again(app: Flask) -> None:
    set_revision("0001")
    answer = app.test_client().post("/callbacks/abc", data={"a": "1"})
    assert answer.status_code == 503
    assert answer.mimetype == "text/plain"


def test_a_newer_schema_that_allows_this_version_is_no_obstacle(app: Flask) -> None:
    """As while a newer version is rolled out beside this one."""
    set_revision("9999")
    set_oldest_code("0001")
    assert app.test_client().get("/sign-in").status_code == 200
    assert app.test_client().get("/readyz").json["schema"] is True  # type: ignore[index]


def test_a_newer_schema_that_has_taken_something_away_is_refused(app: Flask) -> None:
    set_revision("9999")
    set_oldest_code("9999")
    page = app.test_client().get("/sign-in")
    assert page.status_code == 503
    assert "9999" in page.text


def test_once_it_is_checked_no_request_asks_again(app: Flask) -> None:
    assert app.test_client().get("/sign-in").status_code == 200
    assert app.extensions[start_check.PASSED] is True
    set_revision("0001")
    assert app.test_client().get("/sign-in").status_code == 200
