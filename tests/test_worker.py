"""worker.py: a real worker process runs a real job and stops in good order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading

import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

import worker
from config import HERE, Config
from smsapp.jobs import periodic
from smsapp.services.platform import schema_check
from smsapp.store import periodic_queue, queue
from smsapp.store.db import db
from tests.conftest import FERNET_KEY


@pytest.fixture
def environment(config: Config) -> dict[str, str]:
    variables = {"INSTANCE_DIR": str(config.INSTANCE_DIR), "DATABASE_URL": config.DATABASE_URL, "LOG_LEVEL": "INFO"}
    return os.environ | variables | {"REDIS_URL": config.REDIS_URL, "SECRET_KEY": "x", "ENCRYPTION_KEY": FERNET_KEY}


def until(process: subprocess.Popen[str], word: str) -> str:
    """Read the process's log until a line holds the word; return that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"{word} was never logged")


def test_a_worker_runs_a_job_in_one_line_and_stops_when_asked(app: Flask, environment: dict[str, str]) -> None:
    queue.enqueue(queue.PERIODIC, "sweep")
    process = subprocess.Popen(
        [sys.executable, "worker.py", "work"], cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        line = until(process, "job.")
        assert "job.done task=sweep id=" in line
        assert "queue=periodic seconds=" in line
        # pages of the same machine come first
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(own + worker.NICENESS, 19)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert queue.queue(queue.PERIODIC).failed_job_registry.count == 0


def test_the_process_that_holds_connections_comes_up_without_any_and_stops_when_asked(
    app: Flask, environment: dict[str, str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "worker.py", "connect"], cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        until(process, "connections.up")
    finally:
        process.send_signal(signal.SIGTERM)
        _, log_text = process.communicate(timeout=60)
    assert "connections.down" in log_text
    assert process.returncode == 0


def test_the_scheduler_brings_periodic_tasks_in_line_and_again_after_redis_was_emptied(
    app: Flask, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RESYNC_SECONDS", 0)
    stop = Ticks(app, emptied_after=2, stopped_after=4, valkey=valkey)
    assert worker.schedule(app, stop) == 0
    assert {job.id for job in periodic_queue.periodic_scheduler().get_jobs()} == {
        task.job_id for task in periodic.PERIODIC_TASKS
    }


class Ticks(threading.Event):
    """A stop that comes after so many seconds of a scheduler's life, none of which are waited for."""

    def __init__(self, app: Flask, *, emptied_after: int, stopped_after: int, valkey: redis.Redis) -> None:
        super().__init__()
        self.left, self.empty_at, self.valkey = stopped_after, stopped_after - emptied_after, valkey

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if self.left == self.empty_at:
            self.valkey.flushall()
        if self.left <= 0:
            self.set()
        return self.is_set()


class Patience(threading.Event):
    """Counts how often it was waited for, and how long; stops after five times."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0)
        if len(self.pauses) == 5:
            self.set()
        return self.is_set()


def test_a_missing_redis_is_waited_for_longer_and_longer_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    patience = Patience()
    assert not worker.wait_for_redis(queue.connect("unix:///nowhere/at/all.sock"), patience)
    assert patience.pauses == [0.25, 0.5, 1, 2, 4]
    assert [record.message.split()[0] for record in caplog.records] == ["redis.waiting"]


def test_a_redis_that_answers_is_not_waited_for(valkey: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert worker.wait_for_redis(valkey, Patience())
    assert caplog.records == []


def test_an_unknown_queue_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        worker.main(["work", "--queues", "send,post"])
    assert "no such queue: post" in capsys.readouterr().err


def test_a_changed_periodic_task_is_another_one() -> None:
    periodic_tasks = (
        periodic.PeriodicTask("sweep", 60),
        periodic.PeriodicTask("sweep", 30),
        periodic.PeriodicTask("sweep", 60, "news"),
    )
    assert len({task.job_id for task in periodic_tasks}) == 3
    assert len({task.job_id for task in periodic.PERIODIC_TASKS}) == len(periodic.PERIODIC_TASKS)


def test_a_worker_does_not_start_on_a_schema_it_may_not_use(app: Flask, environment: dict[str, str]) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    done = subprocess.run(
        [sys.executable, "worker.py", "work"], cwd=HERE, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "run: flask db upgrade" in done.stderr


def test_a_silent_database_is_waited_for_and_told_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    silence = iter([OperationalError("", {}, Exception()), OperationalError("", {}, Exception())])

    def check() -> None:
        if (error := next(silence, None)) is not None:
            raise error

    monkeypatch.setattr(schema_check, "check", check)
    pauses: list[float] = []
    worker.wait_for_database(app, pauses.append)
    assert len(pauses) == 2
    assert [record.message.split()[0] for record in caplog.records] == ["database.waiting"]
