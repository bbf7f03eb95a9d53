"""Rings: now, later, again and again; what a Redis that is gone does to them."""

from __future__ import annotations

import datetime as dt

import pytest
import redis
from flask import Flask
from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus

from smsapp.store import periodic_queue, queue

SWEEP = {"periodic-sweep-1": ("periodic", "sweep", 60)}


def waiting(name: str) -> list[str]:
    return [str(job.func_name).removeprefix(queue.TASKS) for job in queue.queue(name).jobs]


def test_a_job_waits_for_a_worker_with_its_arguments(app: Flask) -> None:
    assert queue.enqueue(queue.SEND, "send", 7)
    (job,) = queue.queue(queue.SEND).jobs
    assert (job.func_name, job.args) == ("smsapp.jobs.tasks.send", [7])


def test_nobody_enqueues_twice_or_for_what_somebody_attends_to(app: Flask) -> None:
    for _ in range(2):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")
    assert waiting(queue.RECEIPTS) == ["keep_reading"]
    queue.queue(queue.RECEIPTS).empty()  # type: ignore[no-untyped-call]  # rq has no types here
    assert queue.claim_polling("keep_reading")
    assert not queue.claim_polling("keep_reading")
    queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")
    assert waiting(queue.RECEIPTS) == []
    queue.release_polling("keep_reading")
    queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")
    assert waiting(queue.RECEIPTS) == ["keep_reading"]


def test_a_later_job_is_due_when_it_is_due(app: Flask) -> None:
    moment = dt.datetime.now(dt.UTC)
    queue.enqueue_at(moment - dt.timedelta(seconds=1), queue.SEND, "start", 1, job_id="due-1")
    queue.enqueue_at(moment + dt.timedelta(hours=1), queue.SEND, "start", 2, job_id="due-2")
    periodic_queue.periodic_scheduler().tick()
    assert [list(job.args) for job in queue.queue(queue.SEND).jobs] == [[1]]


def test_the_same_later_job_moves_instead_of_doubling(app: Flask) -> None:
    moment = dt.datetime.now(dt.UTC)
    queue.enqueue_at(moment + dt.timedelta(hours=1), queue.SEND, "start", 1, job_id="due-1")
    queue.enqueue_at(moment - dt.timedelta(seconds=1), queue.SEND, "start", 1, job_id="due-1")
    periodic_queue.periodic_scheduler().tick()
    assert waiting(queue.SEND) == ["start"]
    assert periodic_queue.periodic_scheduler().count() == 0


def test_a_later_job_that_was_taken_back_leaves_nothing(app: Flask, valkey: redis.Redis) -> None:
    queue.enqueue_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, job_id="due-1")
    queue.cancel_scheduled("due-1")
    queue.cancel_scheduled("due-1")
    assert periodic_queue.periodic_scheduler().count() == 0
    assert not valkey.exists(Job.key_for("due-1"))


def test_two_schedulers_take_turns(app: Flask) -> None:
    first, second = periodic_queue.periodic_scheduler(), periodic_queue.periodic_scheduler()
    queue.enqueue_at(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1), queue.SEND, "start", 1, job_id="due-1")
    assert first.acquire_lock()
    second.tick()
    assert waiting(queue.SEND) == []
    first.remove_lock()
    second.tick()
    assert waiting(queue.SEND) == ["start"]


def test_periodic_tasks_are_added_kept_changed_and_forgotten(app: Flask) -> None:
    assert periodic_queue.sync_periodic_tasks(SWEEP) == (1, 0)
    assert periodic_queue.sync_periodic_tasks(SWEEP) == (0, 0)
    changed = {"periodic-sweep-2": ("periodic", "sweep", 30), "periodic-news-1": ("news", "keep_reading", 5)}
    assert periodic_queue.sync_periodic_tasks(changed) == (2, 1)
    assert {job.id: job.meta["interval"] for job in periodic_queue.periodic_scheduler().get_jobs()} == {
        "periodic-sweep-2": 30,
        "periodic-news-1": 5,
    }


def test_campaigns_due_are_no_periodic_tasks(app: Flask) -> None:
    queue.enqueue_at(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), queue.SEND, "start", 1, job_id="due-1")
    periodic_queue.sync_periodic_tasks({})
    assert "due-1" in periodic_queue.periodic_scheduler()


def due_again(keeper: periodic_queue.PeriodicScheduler, job_id: str) -> None:
    keeper.connection.zadd(keeper.scheduled_jobs_key, {job_id: 0})


def test_jobs_of_a_periodic_task_do_not_pile_up_while_nobody_listens(app: Flask) -> None:
    periodic_queue.sync_periodic_tasks(SWEEP)
    keeper = periodic_queue.periodic_scheduler()
    for _ in range(3):
        due_again(keeper, "periodic-sweep-1")
        keeper.tick()
    assert waiting(queue.PERIODIC) == ["sweep"]
    assert "periodic-sweep-1" in keeper


def test_a_periodic_task_whose_job_runs_is_not_enqueued_again(app: Flask) -> None:
    periodic_queue.sync_periodic_tasks(SWEEP)
    keeper = periodic_queue.periodic_scheduler()
    keeper.tick()
    job = queue.TaskJob.fetch("periodic-sweep-1", connection=keeper.connection)
    queue.queue(queue.PERIODIC).empty()  # type: ignore[no-untyped-call]  # rq has no types here
    job.last_heartbeat = dt.datetime.now(dt.UTC)
    job.save()
    job.set_status(JobStatus.STARTED)
    due_again(keeper, "periodic-sweep-1")
    keeper.tick()
    assert waiting(queue.PERIODIC) == []


def test_a_periodic_task_that_is_not_needed_waits_for_its_next_time(app: Flask) -> None:
    periodic_queue.sync_periodic_tasks(SWEEP)
    keeper = periodic_queue.periodic_scheduler()
    asked: list[str] = []

    def is_needed(task: str) -> bool:
        asked.append(task)
        return len(asked) > 1

    keeper.is_needed = is_needed
    keeper.tick()
    assert (waiting(queue.PERIODIC), asked) == ([], ["sweep"])
    keeper.tick()
    assert asked == ["sweep"]  # not before its next time
    due_again(keeper, "periodic-sweep-1")
    keeper.tick()
    assert waiting(queue.PERIODIC) == ["sweep"]


def test_a_campaign_that_is_due_is_started_without_asking(app: Flask) -> None:
    queue.enqueue_at(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1), queue.SEND, "start", 1, job_id="due-1")
    keeper = periodic_queue.periodic_scheduler()
    keeper.is_needed = lambda _task: False
    keeper.tick()
    assert waiting(queue.SEND) == ["start"]


@pytest.mark.parametrize("state", [JobStatus.QUEUED, JobStatus.STARTED])
def test_a_periodic_task_whose_job_died_unheard_is_enqueued_again(app: Flask, state: JobStatus) -> None:
    periodic_queue.sync_periodic_tasks(SWEEP)
    keeper = periodic_queue.periodic_scheduler()
    keeper.tick()
    job = queue.TaskJob.fetch("periodic-sweep-1", connection=keeper.connection)
    queue.queue(queue.PERIODIC).empty()  # type: ignore[no-untyped-call]  # rq has no types here
    job.last_heartbeat = dt.datetime.now(dt.UTC) - periodic_queue.LONGEST_SILENCE
    job.save()
    job.set_status(state)
    due_again(keeper, "periodic-sweep-1")
    keeper.tick()
    assert waiting(queue.PERIODIC) == ["sweep"]


def test_the_pulse_tells_who_listens(app: Flask) -> None:
    queue.enqueue(queue.SEND, "send", 1)
    periodic_queue.periodic_scheduler().tick()
    assert queue.queue_health() == queue.QueueHealth(
        answers=True, takes_writes=True, workers=0, scheduler=True, waiting=1, failed=0
    )


def test_without_redis_a_job_is_lost_and_nothing_breaks(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere/at/all.sock")
    assert not queue.enqueue(queue.SEND, "send", 1)
    assert not queue.enqueue_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, job_id="due-1")
    queue.cancel_scheduled("due-1")
    assert queue.queue_health() == queue.QueueHealth(answers=False)
    assert [record.message.split()[0] for record in caplog.records] == [
        "enqueue.lost",
        "enqueue_at.lost",
        "cancel_scheduled.lost",
    ]


def test_a_full_redis_answers_but_takes_no_writes(app: Flask, valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory", "1")
    try:
        health = queue.queue_health()
    finally:
        valkey.config_set("maxmemory", "0")
    assert (health.answers, health.takes_writes) == (True, False)


def test_a_pickled_job_in_redis_is_not_read(app: Flask, valkey: redis.Redis) -> None:
    Job.create("os.getcwd", connection=valkey, id="planted", origin=queue.SEND).save()
    with pytest.raises(DeserializationError):
        _ = queue.TaskJob.fetch("planted", connection=valkey).func_name


@pytest.mark.parametrize("name", ["os.getcwd", "smsapp.jobs.tasks.os.getcwd", "smsapp.store.queue.queue_health"])
def test_a_job_that_names_no_task_is_not_run(app: Flask, valkey: redis.Redis, name: str) -> None:
    queue.TaskJob.create(name, connection=valkey, id="planted", origin=queue.SEND).save()
    valkey.hset(Job.key_for("planted"), "success_callback_name", "os.getcwd")
    job = queue.TaskJob.fetch("planted", connection=valkey)
    assert job.success_callback is None
    with pytest.raises(ValueError, match="no task"):
        _ = job.func


def test_a_scheduled_job_cannot_name_a_class_to_import(app: Flask) -> None:
    queue.enqueue_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, job_id="due-1")
    keeper = periodic_queue.periodic_scheduler()
    job = queue.TaskJob.fetch("due-1", connection=keeper.connection)
    job.meta["queue_class_name"] = "os.getcwd"
    job.save_meta()  # type: ignore[no-untyped-call]  # rq has no types here
    keeper.tick()
    assert waiting(queue.SEND) == ["start"]
