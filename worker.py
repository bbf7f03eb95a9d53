"""The processes behind the pages: `python worker.py work` runs jobs, `python worker.py schedule` enqueues them on time,
`python worker.py connect` holds the connections of channels that need one and sends over them."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import redis
from flask import Flask
from flask_babel import force_locale
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import DequeueStrategy
from sqlalchemy.exc import SQLAlchemyError

from smsapp.domain import log_context
from smsapp.domain.errors import OutOfTime, Refusal
from smsapp.jobs import periodic
from smsapp.labels import sentence
from smsapp.services.platform import clock, forking, schema_check, shutdown
from smsapp.services.sending import held_connections, recovery
from smsapp.store import deadline, periodic_queue, queue
from smsapp.store import settings as stored_settings
from smsapp.store.db import db

GRACE_SECONDS = 25
"""How long a job that was asked to stop may take to leave its work in order."""
NICENESS = 5
"""Jobs give way to pages, uploads and callbacks on the same machine: these are waited for, and a campaign can wait."""
LONGEST_PAUSE = 10.0
LONGEST_LOOK = 1.0
"""Seconds the scheduler waits for the database: a job enqueued in vain is better than a campaign that starts late."""
RESYNC_SECONDS = 60

log = logging.getLogger("worker")


class JobWorker(Worker):
    """An RQ worker whose jobs run in an application context and are told of a shutdown."""

    app: Flask
    max_connection_wait_time = LONGEST_PAUSE

    def perform_job(self, job: Job, *args: Any, **kwargs: Any) -> bool:
        """Run one job in the forked child, in an application context of its own; log one line about it."""
        signal.signal(signal.SIGTERM, lambda *_: shutdown.request())
        log_context.JOB.set(job.id)
        log_context.REQUEST.set(queue.request_id(job))
        begun = time.monotonic()
        with self.app.app_context():
            done = super().perform_job(job, *args, **kwargs)
            db.session.remove()
        routine = logging.DEBUG if job.id.startswith("periodic-") else logging.INFO
        log.log(
            routine if done else logging.ERROR,
            "job.%s task=%s id=%s queue=%s seconds=%.3f",
            "done" if done else "failed",
            (job.func_name or "").removeprefix(queue.TASKS),
            job.id,
            job.origin,
            time.monotonic() - begun,
        )
        return done

    def handle_warm_shutdown_request(self) -> None:
        """Pass the request on to the running job (SIGTERM); kill the job after GRACE_SECONDS."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)
            limit = threading.Timer(GRACE_SECONDS, self.kill_horse)
            limit.daemon = True
            limit.start()


def tune_gc_for_bulk_work() -> None:
    """Exempt what is loaded by now from garbage collection, and collect more rarely.

    Otherwise all loaded modules are scanned once per few thousand messages. A batch makes thousands of objects and no
    cycles.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)


def wait_for_redis(client: redis.Redis, stop: threading.Event) -> bool:
    """Return True when Redis answers, False if `stop` is set first; log the waiting once, not at every attempt."""
    pause = 0.25
    warned = False
    while not stop.is_set():
        try:
            client.ping()
        except redis.RedisError as error:
            if not warned:
                log.warning("redis.waiting error=%s", type(error).__name__)
                warned = True
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            if warned:
                log.warning("redis.back")
            return True
    return False


def wait_for_database(app: Flask, pause: Callable[[float], None] = time.sleep) -> None:
    """Wait until the database answers; log it once. Raises Refusal if this code cannot run with its schema.

    A database that is older than what was sent is taken over before anything else is done.
    """
    warned = False
    with app.app_context(), force_locale("en"):
        while True:
            try:
                schema_check.check()
                recovery.check(clock.now())
            except SQLAlchemyError as error:
                if not warned:
                    log.warning("database.waiting error=%s", type(error).__name__)
                    warned = True
                pause(LONGEST_PAUSE / 5)
            else:
                return


def work(app: Flask, client: redis.Redis, names: Sequence[str]) -> int:
    """Run jobs of these queues, round robin, until SIGTERM or SIGINT; return the exit code."""
    # Otherwise RQ logs each job's description and result lifespan besides our own line.
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    wait_for_redis(client, threading.Event())
    worker = JobWorker(names, connection=client, job_class=queue.TaskJob, serializer=JSONSerializer)
    worker.app = app
    log.info("worker.up name=%s queues=%s", worker.name, ",".join(names))
    try:
        # Round robin, because senders of a large campaign enqueue one another: their queue is never empty.
        worker.work(dequeue_strategy=DequeueStrategy.ROUND_ROBIN)
    except redis.RedisError as error:
        log.warning("worker.lost_redis error=%s", type(error).__name__)
        return 1
    log.info("worker.down name=%s", worker.name)
    return 0


def is_needed(task: str) -> bool:
    """Return whether a periodic task has something to do; True also if the database does not say so in time."""
    condition = next((each.if_needed for each in periodic.PERIODIC_TASKS if each.task == task), None)
    if condition is None:
        return True
    deadline.begin(LONGEST_LOOK)
    try:
        return condition(clock.now())
    except (SQLAlchemyError, OutOfTime):
        return True
    finally:
        deadline.end()
        db.session.remove()


def schedule(app: Flask, stop: threading.Event) -> int:
    """Enqueue what is due once a second until `stop`; sync the periodic tasks at start and after each outage."""
    periodic_tasks = {task.job_id: (task.queue, task.task, task.every) for task in periodic.PERIODIC_TASKS}
    with app.app_context():
        keeper = periodic_queue.periodic_scheduler()
        keeper.is_needed = is_needed
        synced = float("-inf")
        log.info("scheduler.up")
        while not stop.is_set():
            try:
                if time.monotonic() - synced > RESYNC_SECONDS:
                    added, removed = periodic_queue.sync_periodic_tasks(periodic_tasks)
                    if added or removed:
                        log.info("scheduler.periodic_tasks added=%s removed=%s", added, removed)
                    synced = time.monotonic()
                keeper.tick()
            except redis.RedisError:
                wait_for_redis(queue.connection(), stop)
                synced = float("-inf")
            stop.wait(1)
        log.info("scheduler.down")
    return 0


def connect(app: Flask) -> int:
    """Hold connections until SIGTERM or SIGINT; then finish open calls and unbind."""
    signal.signal(signal.SIGTERM, lambda *_: shutdown.request())
    signal.signal(signal.SIGINT, lambda *_: shutdown.request())
    log.info("connections.up")
    held_connections.hold(app, clock.now)
    log.info("connections.down")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a role and keep it until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("work", "schedule", "connect"))
    parser.add_argument("--queues", default=",".join(queue.QUEUES), help="for `work`: which, comma-separated")
    options = parser.parse_args(arguments)
    names = options.queues.split(",")
    if unknown := set(names) - set(queue.QUEUES):
        parser.error(f"no such queue: {', '.join(sorted(unknown))}; there are {', '.join(queue.QUEUES)}")
    # Under `flask serve` it is loaded already.
    app: Flask = importlib.import_module("wsgi").app
    if app.extensions[stored_settings.EXTENSION].NO_SEND:
        print("NO_SEND is set: pages only, so no worker starts.", file=sys.stderr)  # noqa: T201
        return 3
    try:
        wait_for_database(app)
    except Refusal as refusal:
        with app.app_context(), force_locale("en"):
            print(*map(sentence, refusal.problems), sep="\n", file=sys.stderr)  # noqa: T201
        return 3
    if options.role == "work":
        os.nice(NICENESS)
        with app.app_context():
            forking.disconnect()
        tune_gc_for_bulk_work()
        return work(app, queue.connect(app.extensions[stored_settings.EXTENSION].redis_url), names)
    if options.role == "connect":
        return connect(app)
    stop = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return schedule(app, stop)


if __name__ == "__main__":
    sys.exit(main())
