"""The schema grows while a campaign is sent: old code goes on beside it, nothing is lost, nothing is sent twice."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.types import SubmitRequest
from smsapp.services.platform import schema_check
from smsapp.services.reports import verify
from smsapp.services.sending import sender
from smsapp.store import schema
from smsapp.store.db import current_session, db
from tests import builders
from tests.engine import confirmed, funnel
from tests.fakes import FakeChannel, FakeClock

NEXT = "9000"
MIGRATION = f'''
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{{}}"
branch_labels = None
depends_on = None


def upgrade(parts):
    if "main" in parts:
        op.add_column("message", sa.Column("shade", sa.String(10), nullable=True))
        op.add_column("run", sa.Column("shade", sa.String(10), nullable=False, server_default=""))
'''
PEOPLE = 2500


def next_version(folder: Path) -> str:
    """Return a folder of migrations with one more than this code knows, as a newer version has it."""
    newer = folder / "migrations"
    shutil.copytree(schema.MIGRATIONS, newer)
    (newer / "versions" / f"{NEXT}_shade.py").write_text(MIGRATION.format(schema.newest_revision()))
    return str(newer)


def test_a_sender_goes_on_while_a_newer_version_upgrades_the_schema(
    app: Flask, provider: FakeChannel, clock: FakeClock, tmp_path: Path
) -> None:
    # given a sender of this version in the middle of a campaign
    builders.contacts(PEOPLE)
    campaign, run_id = confirmed(clock.now)
    in_the_middle, upgraded = threading.Event(), threading.Event()
    provider.per_request = 50

    def held_up(_submission: SubmitRequest) -> None:
        if sum(provider.sent.values()) >= PEOPLE // 5:
            in_the_middle.set()
            assert upgraded.wait(60)

    provider.script = held_up

    def work() -> None:
        with app.app_context():
            sender.send(app, clock)

    sending = threading.Thread(target=work)
    sending.start()
    # when a newer version adds columns to the tables that are being written
    assert in_the_middle.wait(60)
    current_session().rollback()
    flask_migrate.upgrade(directory=next_version(tmp_path))
    upgraded.set()
    sending.join(60)
    # then this version goes on with what it knows, may even be started anew, and everything adds up
    assert [column["name"] for column in sa.inspect(db.engine).get_columns("run")].count("shade") == 1
    assert schema.found_revisions()[0] == NEXT
    assert schema_check.problem() is None
    assert set(provider.sent.values()) == {1}
    assert funnel(run_id).accepted == PEOPLE
    assert [check.broken for check in verify.verify(campaign.id)] == [[]]
