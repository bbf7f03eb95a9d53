"""From SQLite to PostgreSQL: every row is there afterwards, and what waited fires there, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import flask_migrate
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from config import Config
from smsapp.domain.errors import Refusal
from smsapp.factory import create_app
from smsapp.services.backups import moving
from smsapp.services.demo import shop
from smsapp.services.platform import schema_check
from smsapp.services.reports import verify
from smsapp.services.sending import recovery, starting
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, db, writing
from smsapp.store.receipts import inbox
from smsapp.store.runs.runs import Run
from tests import builders, servers
from tests.backups import silent
from tests.conftest import dispose, settings
from tests.engine import daily, waiting

DUE = dt.timedelta(hours=3)


@pytest.fixture
def config(sqlite_config: Config) -> Config:
    """The installation that is moved: on SQLite."""
    return sqlite_config


@pytest.fixture
def address(postgres_server: str, worker_id: str) -> str:
    """Address of an empty PostgreSQL database."""
    name = f"moved_{worker_id}"
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    return servers.new_database(postgres_server, name)


def test_an_installation_goes_on_in_postgresql_with_everything(
    app: Flask, config: Config, address: str, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the demo's past, a campaign that waits, and values that are easily lost
    monkeypatch.setenv("INSTANCE_DIR", str(config.INSTANCE_DIR))
    assert recovery.check(now) is None
    shop.fill(now, lambda _n: None)
    odd = {
        "城市": "北京",
        "big": 1e16,
        "whole": 3.0,
        "escaped": "\\u0000",
        "none": None,
        "deep": {"b": [1.5], "a": True},
    }
    contact_id = builders.contact("odd", "+8613800000001", properties=odd).id
    campaign = waiting(now, daily(now), now + DUE)
    with inbox.writing() as connection:
        callback = {"channel_id": campaign.channel_id, "received_at": now, "method": "POST", "url": "/", "query": ""}
        inbox.add(connection, [callback | {"headers": {"Accept": "*/*"}, "body": b"\x00\xff"}])
    highest = current_session().scalar(sa.select(sa.func.max(Run.id))) or 0
    current_session().commit()
    # when it is moved
    moved = moving.move(address, now, silent)
    # then each table holds what it held, and SQLite's files are out of the way
    assert [table.name for table in moved.tables if not table.is_equal] == []
    assert sum(table.before.rows > 0 for table in moved.tables) > 18
    assert moved.aside is not None
    assert {file.name for file in moved.aside.iterdir()} >= {"smsapp.db", "smsapp-inbox.db"}
    assert not (config.INSTANCE_DIR / "smsapp.db").exists()
    campaign_id = campaign.id
    with served_from(address, config):
        # it is no older copy, its numbers add up, and what is added gets ids of its own
        assert recovery.check(now) is None
        assert [line for check in verify.verify(None) for line in check.broken] == []
        contact = current_session().get_one(Contact, contact_id)
        assert {name: contact.properties[name] for name in odd} == odd
        assert builders.contact("new").id > contact_id
        # the campaign fires there, once
        run_id = starting.start(campaign_id, now + DUE)
        assert run_id is not None
        assert run_id > highest
        assert starting.start(campaign_id, now + DUE) is None
    # and an application that is started on SQLite by mistake finds nothing that it could send
    again = create_app(config)
    with again.app_context():
        wrong = schema_check.problem()
        dispose()
    assert wrong is not None
    assert wrong.code == "schema_empty"


@contextmanager
def served_from(address: str, config: Config) -> Iterator[None]:
    """Be the application that is started on PostgreSQL in the same instance folder."""
    app = create_app(settings(config.INSTANCE_DIR, DATABASE_URL=address, REDIS_URL=config.REDIS_URL))
    with app.app_context():
        yield
        db.session.remove()
        dispose()


def test_a_value_that_does_not_fit_moves_nothing_and_is_named(app: Flask, address: str, now: dt.datetime) -> None:
    # given a name that SQLite took although it is too long for its column
    row = builders.segment(name="长" * 300)
    current_session().commit()
    with pytest.raises(Refusal) as refused:
        moving.move(address, now, silent)
    (problem,) = refused.value.problems
    assert (problem.code, problem.facts["places"]) == ("move_unfit", f"segment.name {row.id}")
    # then SQLite is in its place, and the same target can be used once the name is shorter
    assert current_session().scalar(sa.select(Segment.name)) == "长" * 300
    with writing() as session:
        session.execute(sa.update(Segment).values(name="短"))
    assert moving.move(address, now, silent).aside is not None


def test_a_database_with_an_installation_is_refused(app: Flask, config: Config, address: str, now: dt.datetime) -> None:
    with served_from(address, config):
        flask_migrate.upgrade()
        builders.contacts(1)
        current_session().commit()
    with pytest.raises(Refusal, match="move_target_filled"):
        moving.move(address, now, silent)


@pytest.mark.parametrize("wrong", ["", "mysql://host/db", "not an address"])
def test_an_address_that_is_none_is_refused(app: Flask, wrong: str) -> None:
    with pytest.raises(Refusal, match="move_bad_address"):
        moving.check(wrong)
