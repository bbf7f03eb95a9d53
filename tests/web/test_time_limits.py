"""Time limits of web requests: what runs over ends with a page that helps, and leaves nothing behind."""

from __future__ import annotations

import contextvars
import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from smsapp.domain.errors import OutOfTime
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store import deadline
from smsapp.store.db import current_session, db, dialect, writing
from smsapp.store.users import User
from smsapp.web import guard
from tests import builders

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def endless() -> None:
    current_session().execute(sa.text(ENDLESS[dialect()]))


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application with a page that changes something and then takes for ever."""

    @guard.public
    def slow() -> str:
        with writing() as session:
            session.execute(sa.update(User).values(name="changed"))
            endless()
        return "never"

    app.add_url_rule("/slow", view_func=slow)
    begin = deadline.begin
    monkeypatch.setattr(deadline, "begin", lambda seconds: begin(seconds / 100))
    return app


def name_of(user_id: int) -> str:
    current_session().rollback()
    return str(current_session().scalar(sa.select(User.name).where(User.id == user_id)))


def test_a_page_that_runs_over_is_ended_and_rolled_back(app: Flask) -> None:
    user = builders.person(name="as before")
    answer = app.test_client().get("/slow")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert "用时过长" in answer.text
    assert answer.headers["X-Request-ID"] in answer.text
    assert name_of(user.id) == "as before"


def test_a_piece_for_htmx_and_an_answer_for_machines_are_short(app: Flask) -> None:
    browser = app.test_client()
    piece = browser.get("/slow", headers={"HX-Request": "true"})
    assert (piece.status_code, "<html" in piece.text, "data-error" in piece.text) == (503, False, True)
    answer = browser.get("/slow", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json) == (
        503,
        {"error": "用时过长", "request": answer.headers["X-Request-ID"]},
    )


@contextmanager
def writer_busy(app: Flask) -> Iterator[None]:
    """Somebody else writes meanwhile, and does not come to an end."""
    if dialect() == "sqlite":
        with Path(f"{db.engine.url.database}-turn").open("wb") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield
        return
    with db.engine.connect() as connection:
        connection.execute(sa.text(f"LOCK TABLE {User.__tablename__} IN ACCESS EXCLUSIVE MODE"))
        yield


def test_waiting_for_somebody_who_writes_has_the_same_limit(app: Flask) -> None:
    user = builders.person(name="as before")
    current_session().commit()
    with writer_busy(app):
        answer = app.test_client().get("/slow")
    assert answer.status_code == 503
    assert "用时过长" in answer.text
    assert name_of(user.id) == "as before"
    with writing() as session:  # nobody has kept the lock
        session.execute(sa.update(User).values(name="later"))
    assert name_of(user.id) == "later"


def in_request(app: Flask, seconds: float, act: Callable[[], None]) -> None:
    """Run something as a thread of the web server would, with so much time."""
    raised: list[BaseException] = []

    def run() -> None:
        with app.app_context():
            deadline.begin(seconds * 100)
            try:
                act()
            except OutOfTime as error:
                raised.append(error)
            finally:
                db.session.remove()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert raised


@pytest.mark.parametrize("config", ["postgresql"], indirect=True)
def test_a_transaction_that_begins_late_has_only_what_is_left(app: Flask) -> None:
    def act() -> None:
        shown = current_session().execute(sa.text("SHOW statement_timeout")).scalar_one()
        assert shown.endswith("ms")
        assert int(shown.removesuffix("ms")) <= 400
        endless()

    in_request(app, 0.4, act)


@pytest.mark.parametrize("config", ["postgresql"], indirect=True)
def test_a_server_that_does_not_answer_is_not_waited_for_longer(app: Flask) -> None:
    def act() -> None:
        db.engine.dispose()
        driver = current_session().connection().connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        assert driver.info.get_parameters()["connect_timeout"] == str(deadline.SHORTEST_CONNECT)
        endless()

    in_request(app, 0.4, act)


def test_no_statement_begins_after_the_time_is_up(app: Flask) -> None:
    def act() -> None:
        current_session().execute(sa.text("SELECT 1"))

    in_request(app, 0, act)


def test_jobs_and_commands_have_no_limit(app: Flask) -> None:
    assert deadline.seconds_left() is None
    with db.engine.connect() as connection:
        if dialect() == "postgresql":
            assert connection.execute(sa.text("SHOW statement_timeout")).scalar_one() == "0"


def test_what_a_thread_does_after_a_request_has_no_limit(app: Flask) -> None:
    left: list[float | None] = []

    def serve_then_go_on() -> None:
        app.test_client().get("/sign-in")
        left.append(deadline.seconds_left())

    # An application without the tests' own wrapper, which gives each request a context of its own.
    app.wsgi_app = Flask.wsgi_app.__get__(app)  # type: ignore[method-assign]
    contextvars.Context().run(serve_then_go_on)
    assert left == [None]


def limit_of(app: Flask, browser: FlaskClient, path: str) -> float:
    """Return how many seconds the request of a page has, a hundredth of the setting here."""
    seen: list[float | None] = []
    app.before_request_funcs[None].insert(
        app.before_request_funcs[None].index(guard._limit_time) + 1, lambda: seen.append(deadline.seconds_left())
    )
    browser.post(path)
    assert seen[0] is not None
    return seen[0]


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("path", "most"), [("/campaigns/1/effect/export", 9.0), ("/sign-in", 0.3)])
def test_exports_have_longer(app: Flask, path: str, most: float) -> None:
    assert most * 0.8 < limit_of(app, app.test_client(), path) <= most


def test_up_asks_to_send_it_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    key = app_keys.create("shop", KeyKind.SERVER, Actor("test"), clock.now())
    db.session.commit()
    monkeypatch.setattr(deadline, "begin", lambda _seconds: None)
    app.test_client().get("/sign-in")  # what is checked once at the start is over
    monkeypatch.setattr(deadline, "begin", lambda _seconds: deadline._END.set(0.0))
    record = {"appid": key.key, "xwho": "a", "xwhat": "$profile_set", "xcontext": {"vip": True}}
    answer = app.test_client().post("/up", json=[record])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json is not None
    assert answer.json["code"] == 503
