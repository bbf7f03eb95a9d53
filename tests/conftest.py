"""Fixtures for every test: an application over an empty, migrated database, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

import contextvars
import datetime as dt
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import hypothesis
import psycopg
import pytest
import redis
from flask import Flask, has_app_context
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.factory import create_app
from smsapp.services.sending import run_registry
from smsapp.store.db import db
from tests import reuse, servers

pytest_plugins = ["pytester", "tests.pages", "tests.fakes"]

# A slow machine fails no test: hypothesis measures how long it takes to make examples. Each run makes the same ones,
# so what passed here passes elsewhere; HYPOTHESIS_PROFILE=search looks at new ones.
SETTINGS: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("same", derandomize=True, **SETTINGS)
hypothesis.settings.register_profile("search", **SETTINGS)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

reuse.addresses()

DATABASES = ("sqlite", "postgresql")
FERNET_KEY = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE="


@pytest.fixture
def now() -> dt.datetime:
    """A Monday, 10:00 in Shanghai: inside sending hours."""
    return dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def short_folder(testrun_uid: str, worker_id: str) -> Iterator[Path]:
    """A folder with a short name, because a socket's path may have about 100 characters."""
    folder = Path(tempfile.gettempdir()) / f"smsapp-{testrun_uid[:8]}"
    yield folder
    shutil.rmtree(folder / worker_id, ignore_errors=True)
    servers.leave(folder)


@pytest.fixture(scope="session")
def postgres_server(short_folder: Path) -> str:
    """Address of a real PostgreSQL shared by all xdist processes, with {database} to fill in."""
    return servers.postgres(short_folder / "pg")


@pytest.fixture(scope="session")
def valkey_server(short_folder: Path, worker_id: str) -> Iterator[str]:
    """Address of a real Valkey of this xdist process."""
    with servers.valkey(short_folder / worker_id, "v") as url:
        yield url


@pytest.fixture
def valkey(valkey_server: str) -> Iterator[redis.Redis]:
    """An empty Valkey, the one the application's queue points at."""
    client = redis.Redis.from_url(valkey_server)
    client.flushall()
    yield client
    client.close()


def settings(folder: Path, **overrides: Any) -> Config:
    """Return settings that depend on nothing in this machine's environment."""
    fixed = {"SECRET_KEY": "only for tests", "ENCRYPTION_KEY": FERNET_KEY, "INSTANCE_DIR": str(folder)}
    return Config.read(fixed | {name: str(value) for name, value in overrides.items()})


def migrate(config: Config) -> None:
    """Bring the database of these settings to the newest schema, as `flask db upgrade` does."""
    app = create_app(config)
    with app.app_context():
        flask_migrate.upgrade()
        dispose()


def dispose() -> None:
    """Close every connection, so that all is in the files themselves."""
    for engine in db.engines.values():
        engine.dispose()


@pytest.fixture(scope="session")
def sqlite_model(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Migrated, empty SQLite files to copy: the database and the inbox."""
    config = settings(tmp_path_factory.mktemp("model"))
    migrate(config)
    return sorted(config.INSTANCE_DIR.glob("*.db"))


@pytest.fixture(scope="session")
def postgres_model(postgres_server: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a migrated, empty PostgreSQL database to copy; one per xdist process."""
    name = f"model_{worker_id}"
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C.UTF-8'".encode())
    migrate(settings(tmp_path_factory.mktemp("model"), DATABASE_URL=postgres_server.format(database=name)))
    return name


@pytest.fixture
def sqlite_config(request: pytest.FixtureRequest, tmp_path: Path, valkey_server: str) -> Config:
    for file in request.getfixturevalue("sqlite_model"):
        shutil.copy(file, tmp_path)
    return settings(tmp_path, REDIS_URL=valkey_server)


@pytest.fixture
def postgresql_config(request: pytest.FixtureRequest, tmp_path: Path, worker_id: str, valkey_server: str) -> Config:
    model = request.getfixturevalue("postgres_model")
    server = request.getfixturevalue("postgres_server")
    name = f"test_{worker_id}"
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {model}".encode())
    return settings(tmp_path, DATABASE_URL=server.format(database=name), REDIS_URL=valkey_server)


@pytest.fixture(params=DATABASES)
def config(request: pytest.FixtureRequest, valkey: redis.Redis) -> Config:
    """Settings of an application whose database is empty and migrated: the test runs once per kind of database."""
    database_config: Config = request.getfixturevalue(f"{request.param}_config")
    return database_config


SENDABLE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")
"""What gunicorn takes as the value of a header."""


def with_headers_that_can_be_sent(start_response: Any) -> Any:
    """Return a start_response that takes what gunicorn takes: a header it refuses becomes a page with status 500."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        wrong = [name for name, value in headers if not SENDABLE.fullmatch(value)]
        assert not wrong, f"these headers cannot be sent: {wrong}"
        return start_response(status, headers, *rest)

    return start


def requests_apart(app: Flask) -> Callable[..., Any]:
    """Return a WSGI callable that serves as in production: in an application context and a session of its own.

    Without this a request inside the test's own application context would share its session, and Flask-Login would
    take the last request's person for the next one's. What the test wrote is committed first, what it has loaded is
    read anew afterwards.
    """
    serve = app.wsgi_app

    def apart(environ: dict[str, Any], start_response: Any) -> Any:
        if has_app_context():
            db.session.commit()
            db.session.expire_all()
        return contextvars.Context().run(serve, environ, with_headers_that_can_be_sent(start_response))

    return apart


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application, with its context pushed."""
    application = create_app(config)
    application.testing = True
    application.jinja_env.bytecode_cache = reuse.TEMPLATES
    application.wsgi_app = requests_apart(application)  # type: ignore[method-assign]  # as Flask says to wrap it
    with application.app_context():
        yield application
        db.session.remove()
        dispose()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """Runs `flask` commands: runner.invoke(args=["doctor"])."""
    return app.test_cli_runner()


@pytest.fixture(autouse=True)
def nothing_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a sender from waiting for held runs: a test's clock stands still, so it would wait forever."""
    monkeypatch.setattr(run_registry, "WAITED_OUT", dt.timedelta())


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the shell that runs the tests out of them."""
    for name in [name for name in os.environ if name in Config.__dataclass_fields__]:
        monkeypatch.delenv(name)
