"""The audit log takes neither changes nor deletions, and shows where somebody got around that."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.exc import DBAPIError

from smsapp.services.platform import audit_proof
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.db import current_session, db, dialect, writing
from smsapp.store.users import AuditEntry

BY = Actor("test")


def log(now: dt.datetime, *actions: str) -> None:
    with writing() as session:
        for action in actions:
            log_action(session, BY, action, "campaign", 1, now, name="三月会员", n=3)


def around_the_triggers(statement: str) -> None:
    """Run a statement as somebody who owns the database: without its triggers."""
    with writing() as session:
        if dialect() == "postgresql":
            session.execute(sa.text("ALTER TABLE audit_entry DISABLE TRIGGER ALL"))
            session.execute(sa.text(statement))
            session.execute(sa.text("ALTER TABLE audit_entry ENABLE TRIGGER ALL"))
        else:
            for change in ("update", "delete"):
                session.execute(sa.text(f"DROP TRIGGER audit_entry_no_{change}"))
            session.execute(sa.text(statement))
    current_session().expire_all()


def test_entries_are_chained_without_gaps(app: Flask, now: dt.datetime) -> None:
    log(now, "create", "edit")
    log(now, "confirm")
    assert list(current_session().scalars(sa.select(AuditEntry.position).order_by(AuditEntry.id))) == [1, 2, 3]
    proof = audit_proof.verify()
    assert (proof.entries, proof.broken, proof.unchained) == (3, None, 0)


def test_what_is_rolled_back_leaves_no_entry(app: Flask, now: dt.datetime) -> None:
    def interrupted() -> None:
        with writing() as session:
            log_action(session, BY, "create", "campaign", 1, now)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    log(now, "edit")
    assert audit_proof.verify().entries == 1


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET action = 'other'", "DELETE FROM audit_entry"])
def test_the_database_refuses_changes_and_deletions(app: Flask, now: dt.datetime, statement: str) -> None:
    log(now, "create")
    with pytest.raises(DBAPIError, match="append-only"), writing() as session:
        session.execute(sa.text(statement))
    assert audit_proof.verify().entries == 1


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE audit_entry SET action = 'other' WHERE position = 2", 2),
        ("UPDATE audit_entry SET facts = '{}' WHERE position = 3", 3),
        ("UPDATE audit_entry SET position = 9 WHERE position = 4", 4),
        ("DELETE FROM audit_entry WHERE position = 2", 2),
    ],
)
def test_whoever_gets_around_the_database_breaks_the_chain_there(
    app: Flask, runner: FlaskCliRunner, now: dt.datetime, statement: str, position: int
) -> None:
    log(now, "create", "edit", "confirm", "stop")
    around_the_triggers(statement)
    assert audit_proof.verify().broken == position
    result = runner.invoke(args=["audit", "verify"])
    assert result.exit_code == 1
    assert f"position {position}:" in result.output


def test_only_the_latest_entries_are_looked_at_if_so_asked(app: Flask, now: dt.datetime) -> None:
    log(now, "create", "edit", "confirm", "stop")
    around_the_triggers("UPDATE audit_entry SET action = 'other' WHERE position = 1")
    assert audit_proof.verify(latest=2).broken is None
    assert audit_proof.verify(latest=4).broken == 1


def test_transactions_at_the_same_time_make_one_chain(app: Flask, now: dt.datetime) -> None:
    def many() -> None:
        with app.app_context():
            for _ in range(5):
                log(now, "edit", "confirm")
            db.session.remove()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proof = audit_proof.verify()
    assert (proof.entries, proof.broken) == (40, None)


def test_an_end_that_was_cut_off_shows_to_whoever_has_noted_the_last_line(
    app: Flask, runner: FlaskCliRunner, now: dt.datetime
) -> None:
    # given a log whose last line was noted
    log(now, "create", "edit", "confirm")
    noted = runner.invoke(args=["audit", "verify"]).output.splitlines()[-1].split()
    log(now, "stop")
    assert runner.invoke(args=["audit", "verify", "--expect", *noted]).exit_code == 0
    # when its end is cut off, and the chain is gone on with from there
    around_the_triggers("DELETE FROM audit_entry WHERE position >= 3")
    log(now, "edit", "edit")
    # then the chain holds, but not what was noted
    assert runner.invoke(args=["audit", "verify"]).exit_code == 0
    result = runner.invoke(args=["audit", "verify", "--expect", *noted])
    assert (result.exit_code, "Broken at position 3" in result.output) == (1, True)


def test_the_log_of_the_process_notes_each_end_of_the_chain(
    app: Flask, runner: FlaskCliRunner, now: dt.datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "smsapp.store.audit_chain")
    # given two transactions of two entries, and one that is rolled back
    log(now, "create", "edit")
    log(now, "confirm", "stop")
    with contextlib.suppress(InterruptedError), writing() as session:
        log_action(session, BY, "delete", "campaign", 1, now)
        raise InterruptedError
    # then the newest line is what `flask audit verify` takes
    lines = [record.getMessage() for record in caplog.records if record.name == "smsapp.store.audit_chain"]
    assert len(lines) == 2
    position, digest = (part.partition("=")[2] for part in lines[-1].split()[1:])
    assert runner.invoke(args=["audit", "verify", "--expect", position, digest]).exit_code == 0


def test_entries_of_the_version_before_are_counted_apart(app: Flask, runner: FlaskCliRunner, now: dt.datetime) -> None:
    with writing() as session:
        session.add(AuditEntry(at=now, by="old", action="edit", noun="campaign", noun_id="1", facts={}))
    log(now, "edit")
    result = runner.invoke(args=["audit", "verify"])
    assert result.exit_code == 0
    assert result.output.startswith("1 entries were written by a version without the chain")


def test_the_export_has_the_entries_of_a_time_line_by_line(app: Flask, runner: FlaskCliRunner) -> None:
    for day in (1, 2, 3):
        log(dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC), f"day{day}")
    result = runner.invoke(args=["audit", "export", "--from", "2026-03-02", "--to", "2026-03-03"])
    (entry,) = map(json.loads, result.output.splitlines())
    assert (entry["action"], entry["at"], entry["facts"]) == (
        "day2",
        "2026-03-02T12:00:00+00:00",
        {"name": "三月会员", "n": 3},
    )
