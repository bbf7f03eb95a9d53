"""The only file that knows RQ, rq-scheduler and Redis: ring a task now, ring it later, take a later ring back.

A ring may be lost or come twice; the rows decide. So a Redis that does not answer is logged, never raised: the sweep
finds the work in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import redis
from flask import Flask, current_app
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq_scheduler import Scheduler

EXTENSION = "smsapp.queue"
SEND, NEWS, CHORES = "send", "news", "chores"
"""Sender lanes; receipts and replies; imports, sweeps and everything slow."""
QUEUES = (SEND, NEWS, CHORES)
TASKS = "smsapp.jobs.tasks."
TIMEOUT = 3600

log = logging.getLogger(__name__)


def connect(url: str) -> redis.Redis:
    """Return a client that fails fast instead of making a page wait for a dead Redis."""
    return redis.Redis.from_url(url, socket_connect_timeout=2, health_check_interval=30)


def init_app(app: Flask, url: str) -> None:
    app.extensions[EXTENSION] = connect(url)


def connection() -> redis.Redis:
    client: redis.Redis = current_app.extensions[EXTENSION]
    return client


def queue(name: str) -> Queue:
    return Queue(name, connection=connection(), default_timeout=TIMEOUT)


def scheduler() -> Scheduler:
    return Scheduler(queue_name=CHORES, connection=connection())


def ring(name: str, task: str, *args: Any) -> bool:
    """Ask a worker to run `smsapp.jobs.tasks.<task>` soon; False if Redis did not take it."""
    try:
        queue(name).enqueue_call(TASKS + task, args=args, result_ttl=0, failure_ttl=86_400)
    except redis.RedisError as error:
        log.warning("ring.lost task=%s error=%s", task, type(error).__name__)
        return False
    return True


def ring_at(when: dt.datetime, name: str, task: str, *args: Any, ring_id: str) -> bool:
    """Ask rq-scheduler to ring then; the same `ring_id` again moves the entry, it does not double."""
    try:
        # rq-scheduler compares naive UTC.
        scheduler().schedule(
            when.astimezone(dt.UTC).replace(tzinfo=None),
            TASKS + task,
            args=list(args),
            id=ring_id,
            queue_name=name,
            result_ttl=0,
            timeout=TIMEOUT,
        )
    except redis.RedisError as error:
        log.warning("ring_at.lost task=%s error=%s", task, type(error).__name__)
        return False
    return True


def take_back(ring_id: str) -> None:
    """Remove a later ring; nothing happens if there is none. The job's own key goes too."""
    try:
        scheduler().cancel(ring_id)
        Job.fetch(ring_id, connection=connection()).delete()
    except NoSuchJobError:
        pass
    except redis.RedisError as error:
        log.warning("take_back.lost ring=%s error=%s", ring_id, type(error).__name__)
