"""The scheduler's side of the queue: what is due is enqueued, and periodic tasks again and again.

Only this file and `store/queue.py` use RQ and rq-scheduler.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping

from rq import Queue
from rq.job import Job, JobStatus
from rq_scheduler import Scheduler

from smsapp.store.queue import (
    ALIVE_KEY,
    ALIVE_SECONDS,
    PERIODIC,
    TASKS,
    TIMEOUT,
    TaskJob,
    cancel_scheduled,
    connection,
    queue,
)

LONGEST_SILENCE = dt.timedelta(minutes=2)
"""How long a running job may give no sign of life, four heartbeats of RQ, before it counts as dead."""
BEAT_SECONDS = 5
"""How often the scheduler refreshes its heartbeat."""


class PeriodicScheduler(Scheduler):  # type: ignore[misc]  # rq-scheduler has no types
    """rq-scheduler, except that a periodic task is enqueued only if it is needed, and its jobs do not pile up.

    `is_needed` is asked by the task's name.
    """

    is_needed: Callable[[str], bool] = staticmethod(lambda _task: True)
    beat_at = float("-inf")

    def get_queue_for_job(self, job: Job) -> Queue:
        """Return the job's queue; rq-scheduler's own method imports any class that the job names."""
        return queue(job.origin)

    def enqueue_job(self, job: Job) -> None:
        """Enqueue a scheduled job; a periodic task that is not needed, or whose last job waits or runs, only gets its
        next time."""
        every = job.meta.get("interval")
        if every and (_is_under_way(job) or not self.is_needed(str(job.func_name).removeprefix(TASKS))):
            due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=every)
            self.connection.zadd(self.scheduled_jobs_key, {job.id: due.timestamp()})
            return
        super().enqueue_job(job)

    def tick(self) -> None:
        """Enqueue everything that is due and refresh the scheduler's heartbeat. Two schedulers take turns by a lock."""
        if time.monotonic() - self.beat_at >= BEAT_SECONDS:
            self.connection.set(ALIVE_KEY, "1", ex=ALIVE_SECONDS)
            self.beat_at = time.monotonic()
        due = self.connection.zcount(self.scheduled_jobs_key, "-inf", dt.datetime.now(dt.UTC).timestamp())
        if due and self.acquire_lock():
            try:
                self.enqueue_jobs()
            finally:
                self.remove_lock()


def _is_under_way(job: Job) -> bool:
    """Return whether a job waits in its queue, or runs.

    Its status alone does not say so: a worker that dies, or a Redis that is full, may leave any status behind.
    """
    status, alive_at = job.get_status(), job.last_heartbeat
    if status == JobStatus.QUEUED:
        return queue(job.origin).get_job_position(job) is not None
    if status != JobStatus.STARTED or alive_at is None:
        return False
    return dt.datetime.now(dt.UTC) - alive_at < LONGEST_SILENCE


def periodic_scheduler() -> PeriodicScheduler:
    return PeriodicScheduler(queue_name=PERIODIC, connection=connection(), interval=1, job_class=TaskJob)


def sync_periodic_tasks(periodic_tasks: Mapping[str, tuple[str, str, int]]) -> tuple[int, int]:
    """Make these the scheduler's periodic tasks, {job id: (queue, task, seconds)}; return (added, removed).

    Ids begin with "periodic-" and are derived from the content, so an entry with the same id is left alone.
    Raises redis.RedisError.
    """
    periodic = periodic_scheduler()
    existing = {job.id for job in periodic.get_jobs() if job.id.startswith("periodic-")}
    for job_id in existing - periodic_tasks.keys():
        cancel_scheduled(job_id)
    for job_id in periodic_tasks.keys() - existing:
        name, task, every = periodic_tasks[job_id]
        periodic.schedule(
            dt.datetime.now(dt.UTC).replace(tzinfo=None),
            TASKS + task,
            id=job_id,
            queue_name=name,
            interval=every,
            result_ttl=-1,
            timeout=TIMEOUT,
        )
    return len(periodic_tasks.keys() - existing), len(existing - periodic_tasks.keys())
