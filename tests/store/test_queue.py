"""Rings: now, later, again and again; what a Redis that is gone does to them."""

from __future__ import annotations

import datetime as dt

import pytest
import redis
from flask import Flask
from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus

from smsapp.store import queue

SWEEP = {"chore-sweep-1": ("chores", "sweep", 60)}


def waiting(name: str) -> list[str]:
    return [job.func_name.removeprefix(queue.TASKS) for job in queue.queue(name).jobs]


def test_a_ring_waits_for_a_worker_with_its_arguments(app: Flask) -> None:
    assert queue.ring(queue.SEND, "send", 7)
    (job,) = queue.queue(queue.SEND).jobs
    assert (job.func_name, job.args) == ("smsapp.jobs.tasks.send", [7])


def test_nobody_rings_twice_or_for_what_somebody_attends_to(app: Flask) -> None:
    for _ in range(2):
        queue.ring_once(queue.NEWS, "keep_reading")
    assert waiting(queue.NEWS) == ["keep_reading"]
    queue.queue(queue.NEWS).empty()
    assert queue.attend("keep_reading")
    assert not queue.attend("keep_reading")
    queue.ring_once(queue.NEWS, "keep_reading")
    assert waiting(queue.NEWS) == []
    queue.leave("keep_reading")
    queue.ring_once(queue.NEWS, "keep_reading")
    assert waiting(queue.NEWS) == ["keep_reading"]


def test_a_later_ring_is_due_when_it_is_due(app: Flask) -> None:
    moment = dt.datetime.now(dt.UTC)
    queue.ring_at(moment - dt.timedelta(seconds=1), queue.SEND, "start", 1, ring_id="due-1")
    queue.ring_at(moment + dt.timedelta(hours=1), queue.SEND, "start", 2, ring_id="due-2")
    queue.timekeeper().tick()
    assert [list(job.args) for job in queue.queue(queue.SEND).jobs] == [[1]]


def test_the_same_later_ring_moves_instead_of_doubling(app: Flask) -> None:
    moment = dt.datetime.now(dt.UTC)
    queue.ring_at(moment + dt.timedelta(hours=1), queue.SEND, "start", 1, ring_id="due-1")
    queue.ring_at(moment - dt.timedelta(seconds=1), queue.SEND, "start", 1, ring_id="due-1")
    queue.timekeeper().tick()
    assert waiting(queue.SEND) == ["start"]
    assert queue.timekeeper().count() == 0


def test_a_later_ring_that_was_taken_back_leaves_nothing(app: Flask, valkey: redis.Redis) -> None:
    queue.ring_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, ring_id="due-1")
    queue.take_back("due-1")
    queue.take_back("due-1")
    assert queue.timekeeper().count() == 0
    assert not valkey.exists(Job.key_for("due-1"))


def test_two_schedulers_take_turns(app: Flask) -> None:
    first, second = queue.timekeeper(), queue.timekeeper()
    queue.ring_at(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1), queue.SEND, "start", 1, ring_id="due-1")
    assert first.acquire_lock()
    second.tick()
    assert waiting(queue.SEND) == []
    first.remove_lock()
    second.tick()
    assert waiting(queue.SEND) == ["start"]


def test_chores_are_added_kept_changed_and_forgotten(app: Flask) -> None:
    assert queue.keep_chores(SWEEP) == (1, 0)
    assert queue.keep_chores(SWEEP) == (0, 0)
    changed = {"chore-sweep-2": ("chores", "sweep", 30), "chore-news-1": ("news", "keep_reading", 5)}
    assert queue.keep_chores(changed) == (2, 1)
    assert {job.id: job.meta["interval"] for job in queue.timekeeper().get_jobs()} == {
        "chore-sweep-2": 30,
        "chore-news-1": 5,
    }


def test_campaigns_due_are_no_chores(app: Flask) -> None:
    queue.ring_at(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), queue.SEND, "start", 1, ring_id="due-1")
    queue.keep_chores({})
    assert "due-1" in queue.timekeeper()


def due_again(keeper: queue.Timekeeper, ring_id: str) -> None:
    keeper.connection.zadd(keeper.scheduled_jobs_key, {ring_id: 0})


def test_rings_of_a_chore_do_not_pile_up_while_nobody_listens(app: Flask) -> None:
    queue.keep_chores(SWEEP)
    keeper = queue.timekeeper()
    for _ in range(3):
        due_again(keeper, "chore-sweep-1")
        keeper.tick()
    assert waiting(queue.CHORES) == ["sweep"]
    assert "chore-sweep-1" in keeper


@pytest.mark.parametrize("state", [JobStatus.QUEUED, JobStatus.STARTED])
def test_a_chore_whose_ring_died_unheard_is_rung_again(app: Flask, state: JobStatus) -> None:
    queue.keep_chores(SWEEP)
    keeper = queue.timekeeper()
    keeper.tick()
    job = queue.TaskJob.fetch("chore-sweep-1", connection=keeper.connection)
    queue.queue(queue.CHORES).empty()
    job.enqueued_at = dt.datetime.now(dt.UTC) - queue.STILL_WAITING
    job.save()
    job.set_status(state)
    due_again(keeper, "chore-sweep-1")
    keeper.tick()
    assert waiting(queue.CHORES) == ["sweep"]


def test_the_pulse_tells_who_listens(app: Flask) -> None:
    queue.ring(queue.SEND, "send", 1)
    queue.timekeeper().tick()
    assert queue.pulse() == queue.Pulse(answers=True, takes_writes=True, workers=0, scheduler=True, waiting=1, failed=0)


def test_without_redis_a_ring_is_lost_and_nothing_breaks(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere/at/all.sock")
    assert not queue.ring(queue.SEND, "send", 1)
    assert not queue.ring_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, ring_id="due-1")
    queue.take_back("due-1")
    assert queue.pulse() == queue.Pulse(answers=False)
    assert [record.message.split()[0] for record in caplog.records] == ["ring.lost", "ring_at.lost", "take_back.lost"]


def test_a_full_redis_answers_but_takes_no_writes(app: Flask, valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory", "1")
    try:
        health = queue.pulse()
    finally:
        valkey.config_set("maxmemory", "0")
    assert (health.answers, health.takes_writes) == (True, False)


def test_a_pickled_job_in_redis_is_not_read(app: Flask, valkey: redis.Redis) -> None:
    Job.create("os.getcwd", connection=valkey, id="planted", origin=queue.SEND).save()
    with pytest.raises(DeserializationError):
        _ = queue.TaskJob.fetch("planted", connection=valkey).func_name


@pytest.mark.parametrize("name", ["os.getcwd", "smsapp.jobs.tasks.os.getcwd", "smsapp.store.queue.pulse"])
def test_a_job_that_names_no_task_is_not_run(app: Flask, valkey: redis.Redis, name: str) -> None:
    queue.TaskJob.create(name, connection=valkey, id="planted", origin=queue.SEND).save()
    valkey.hset(Job.key_for("planted"), "success_callback_name", "os.getcwd")
    job = queue.TaskJob.fetch("planted", connection=valkey)
    assert job.success_callback is None
    with pytest.raises(ValueError, match="no task"):
        _ = job.func


def test_a_scheduled_job_cannot_name_a_class_to_import(app: Flask) -> None:
    queue.ring_at(dt.datetime.now(dt.UTC), queue.SEND, "start", 1, ring_id="due-1")
    keeper = queue.timekeeper()
    job = queue.TaskJob.fetch("due-1", connection=keeper.connection)
    job.meta["queue_class_name"] = "os.getcwd"
    job.save_meta()
    keeper.tick()
    assert waiting(queue.SEND) == ["start"]
