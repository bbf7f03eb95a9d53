"""Uses RQ and rq-scheduler: enqueue a task now or later, cancel a scheduled one, tell how the queue does.

A job may be lost or run twice; the database rows decide what is done. So a Redis that does not answer is logged, never
raised: the sweep finds the work in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import redis
from flask import Flask, current_app
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from smsapp.domain import log_context

EXTENSION = "smsapp.queue"
REQUEST_ID = "request"
"""In a job's meta: the request that has led to it."""
SEND, RECEIPTS, UPLOADS, PERIODIC = "send", "receipts", "uploads", "periodic"
"""Senders; receipts and replies; records from apps; imports, sweeps and everything slow."""
QUEUES = (SEND, RECEIPTS, UPLOADS, PERIODIC)
TASKS = "smsapp.jobs.tasks."
TIMEOUT = 3600

QueueDown = redis.RedisError
"""Redis does not answer."""
WRITE_PROBE, WRITE_PROBE_SECONDS = "smsapp:write-probe", 60
"""A key that is set to check whether Redis takes writes: a full or read-only one still answers a ping."""

log = logging.getLogger(__name__)


class TaskJob(Job):
    """A job in JSON that can only name a task of this product.

    RQ's own jobs are pickles with the path of any function, so whoever can write to Redis could run any code.
    """

    def __init__(self, id: str | None = None, connection: redis.Redis | None = None, serializer: Any = None) -> None:
        super().__init__(id, connection, JSONSerializer)

    @property
    def func(self) -> Callable[..., Any] | None:
        """The task function; raises ValueError if the job names anything else."""
        name = self.func_name or ""
        if not name.startswith(TASKS) or not name.removeprefix(TASKS).isidentifier() or self.instance is not None:
            raise ValueError("a job names a function that is no task")
        return cast("Callable[..., Any]", super().func)

    @property
    def success_callback(self) -> None:
        """None: tasks have no callbacks, so a job in Redis cannot name one."""

    @property
    def failure_callback(self) -> None:
        """None, as `success_callback`."""

    @property
    def stopped_callback(self) -> None:
        """None, as `success_callback`."""


def connect(url: str, patience: float | None = None) -> redis.Redis:
    """Return a client that fails fast, so that a page does not wait for a dead Redis.

    `patience`: seconds to wait for an answer; None for a worker, which waits for jobs in a blocking call.
    """
    # Each job's process connects anew: without `driver_info` none reads files to tell the server the client's version.
    return redis.Redis.from_url(
        url, socket_connect_timeout=2, socket_timeout=patience, health_check_interval=30, driver_info=None
    )


def init_app(app: Flask, url: str) -> None:
    app.extensions[EXTENSION] = connect(url, patience=3)


def connection() -> redis.Redis:
    client: redis.Redis = current_app.extensions[EXTENSION]
    return client


def queue(name: str) -> Queue:
    return Queue(name, connection=connection(), default_timeout=TIMEOUT, job_class=TaskJob, serializer=JSONSerializer)


def scheduler() -> Scheduler:
    return Scheduler(queue_name=PERIODIC, connection=connection(), job_class=TaskJob)


def enqueue(name: str, task: str, *args: Any) -> bool:
    """Enqueue `smsapp.jobs.tasks.<task>`; return False if Redis did not take it."""
    try:
        queue(name).enqueue_call(TASKS + task, args=args, result_ttl=0, failure_ttl=86_400, meta=_meta())
    except redis.RedisError as error:
        log.warning("enqueue.lost task=%s error=%s", task, type(error).__name__)
        return False
    return True


def _meta() -> dict[str, str]:
    """Return what a job carries besides its arguments: the request that has led to it."""
    request_id = log_context.REQUEST.get()
    return {REQUEST_ID: request_id} if request_id else {}


def request_id(job: Job) -> str:
    """Return the id of the request that has led to this job; "" if none has."""
    stored = str(job.meta.get(REQUEST_ID, ""))
    return stored if log_context.is_well_formed(stored) else ""


def enqueue_unless_waiting(name: str, task: str, *args: Any) -> bool:
    """Enqueue unless a job of this queue waits or a process is polling for this task: either finds this work too."""
    try:
        # One call for both: the list of an empty queue does not exist.
        if connection().exists(Queue.redis_queue_namespace_prefix + name, ATTENDED + task):
            return True
    except redis.RedisError:
        return False
    return enqueue(name, task, *args)


ATTENDED, ATTENDED_SECONDS = "smsapp:attended:", 5


def claim_polling(task: str, *, again: bool = False) -> bool:
    """Claim polling for a task for ATTENDED_SECONDS, so that it is not enqueued; False if another process has it.

    `again` extends our own claim. Without Redis every process gets True.
    """
    try:
        return bool(connection().set(ATTENDED + task, "1", ex=ATTENDED_SECONDS, nx=not again))
    except redis.RedisError:
        return True


def release_polling(task: str) -> None:
    """Release the claim to poll for a task: it has to be enqueued again."""
    try:
        connection().delete(ATTENDED + task)
    except redis.RedisError as error:
        log.warning("release_polling.lost task=%s error=%s", task, type(error).__name__)


def waits(name: str) -> bool:
    """Return whether a job of this queue waits for a worker; False if Redis does not answer."""
    try:
        return queue(name).count > 0
    except redis.RedisError:
        return False


HEARD, HEARD_SECONDS = "smsapp:heard:", 60


def queue_grew(listener: str, name: str) -> bool:
    """Return whether more jobs of this queue wait than at the last call; of listeners with one name one gets True.

    False if Redis does not answer.
    """
    try:
        count = queue(name).count
        previous = connection().set(f"{HEARD}{name}:{listener}", count, ex=HEARD_SECONDS, get=True)
    except redis.RedisError:
        return False
    return count > int(previous or 0)


def enqueue_at(when: dt.datetime, name: str, task: str, *args: Any, job_id: str) -> bool:
    """Schedule a task for `when`; calling again with the same `job_id` moves the entry."""
    try:
        # rq-scheduler compares naive UTC.
        scheduler().schedule(
            when.astimezone(dt.UTC).replace(tzinfo=None),
            TASKS + task,
            args=list(args),
            id=job_id,
            queue_name=name,
            result_ttl=0,
            timeout=TIMEOUT,
            meta=_meta(),
        )
    except redis.RedisError as error:
        log.warning("enqueue_at.lost task=%s error=%s", task, type(error).__name__)
        return False
    return True


GENERATION = "smsapp:journal:"
_RAISE = "if tonumber(redis.call('get', KEYS[1]) or 0) < tonumber(ARGV[1]) then redis.call('set', KEYS[1], ARGV[1]) end"


def note_generation(journal_id: str, generation: int) -> None:
    """Keep the highest generation of a journal, beside its files; nothing if Redis does not answer."""
    try:
        connection().eval(_RAISE, 1, GENERATION + journal_id, str(generation))
    except redis.RedisError as error:
        log.debug("note_generation.lost error=%s", type(error).__name__)


def noted_generation(journal_id: str) -> int:
    """Return the highest generation of a journal that Redis knows of; 0 if none, or if it does not answer."""
    try:
        return int(cast("bytes | None", connection().get(GENERATION + journal_id)) or 0)
    except redis.RedisError:
        return 0


def cancel_scheduled(job_id: str) -> None:
    """Cancel a scheduled job, if there is one, and delete the job's own key."""
    try:
        scheduler().cancel(job_id)
        TaskJob.fetch(job_id, connection=connection()).delete()
    except NoSuchJobError:
        pass
    except redis.RedisError as error:
        log.warning("cancel_scheduled.lost job=%s error=%s", job_id, type(error).__name__)


# -- the queue's health -----------------------------------------------------------------------------------------------

ALIVE_KEY, ALIVE_SECONDS = "smsapp:scheduler", 15
"""The scheduler's heartbeat, and how long it counts."""


@dataclass(frozen=True)
class QueueHealth:
    """The health of the queue: Redis, the workers and the scheduler."""

    answers: bool
    takes_writes: bool = False
    """Redis takes writes: it is not full and not a read-only replica."""
    workers: int = 0
    scheduler: bool = False
    waiting: int = 0
    """Jobs in all queues that no worker has taken yet."""
    failed: int = 0
    """Jobs that ended with an exception within the last day."""


@dataclass(frozen=True)
class QueueState:
    """One queue: who listens, what waits, what has failed within the last day."""

    workers: int
    waiting: int
    failed: int


def queue_states() -> dict[str, QueueState]:
    """Return the state of each queue by name. Raises QueueDown."""
    queues = {name: queue(name) for name in QUEUES}
    return {
        name: QueueState(Worker.count(queue=each), each.count, each.failed_job_registry.count)
        for name, each in queues.items()
    }


def _takes_writes(client: redis.Redis) -> bool:
    try:
        return bool(client.set(WRITE_PROBE, "1", ex=WRITE_PROBE_SECONDS))
    except redis.ResponseError:
        return False


def queue_health() -> QueueHealth:
    """Return the health of the queue; never raises if Redis does not answer."""
    try:
        client = connection()
        queues = [queue(name) for name in QUEUES]
        return QueueHealth(
            answers=bool(client.ping()),
            takes_writes=_takes_writes(client),
            workers=Worker.count(connection=client),
            scheduler=bool(client.exists(ALIVE_KEY)),
            waiting=sum(each.count for each in queues),
            failed=sum(each.failed_job_registry.count for each in queues),
        )
    except redis.RedisError:
        return QueueHealth(answers=False)
