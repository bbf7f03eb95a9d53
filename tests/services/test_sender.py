"""What a sender does when something breaks under it, and how its runs share a channel."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, Throttled
from smsapp.channels.types import SubmitRequest, SubmitResult
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.channels import accounts
from smsapp.services.sending import actions, opening, run_registry, sender, sweeping
from smsapp.store import queue
from smsapp.store.channels import paces
from smsapp.store.db import current_session, db, writing
from smsapp.store.runs import results, runs, tallies
from smsapp.store.runs.runs import Run
from tests import builders
from tests.engine import OPERATOR, confirmed, funnel, recount, status, the_run, work
from tests.fakes import FakeChannel, FakeClock


def test_a_call_that_is_cut_while_it_is_out_is_unconfirmed_and_its_siblings_count(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(5)
    provider.per_request = 1
    calls = iter(range(5))

    def script(submission: SubmitRequest) -> None:
        if next(calls) == 1:
            raise asyncio.CancelledError

    provider.script = script
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).unconfirmed) == (4, 1)
    assert recount(run_id) == {"accepted": 4, "unconfirmed": 1}


def test_an_answer_that_makes_no_sense_leaves_unconfirmed_messages(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.script = lambda submission: [SubmitResult(True), "nonsense"]  # type: ignore[list-item]  # that is the point
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == 2


def test_a_channel_that_cannot_be_made_holds_its_own_run_only(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a run whose channel's secrets cannot be read, and a healthy one
    builders.contacts(3)
    broken, healthy = builders.channel(), builders.channel()
    _first, broken_run = confirmed(clock.now, channel_id=broken.id)
    second, healthy_run = confirmed(clock.now, channel_id=healthy.id)

    def adapter(channel_id: int) -> Channel:
        if channel_id == broken.id:
            raise Refusal(Problem("channel_secrets_locked"))
        return provider

    monkeypatch.setattr(accounts, "adapter", adapter)
    # when
    work(app, clock)
    # then
    assert (the_run(broken_run).state, the_run(broken_run).hold_reason) == (RunState.HELD, "fault")
    assert funnel(healthy_run).accepted == 3
    assert status(second) == Status.SENT


def test_a_database_that_is_away_while_an_audience_is_frozen_is_no_fault_of_the_run(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a run that another sender freezes at the same moment, so that PostgreSQL refuses this one
    builders.contacts(3)
    campaign, run_id = confirmed(clock.now)

    open_run, refusals = opening.open_run, iter([True])

    def overtaken(run_id: int, now: dt.datetime) -> None:
        if next(refusals, False):
            raise OperationalError("SELECT", {}, Exception("could not serialize access"))
        open_run(run_id, now)

    monkeypatch.setattr(opening, "open_run", overtaken)
    # when
    work(app, clock)
    # then it is not held for a person, but looked at again
    assert (funnel(run_id).accepted, status(campaign)) == (3, Status.SENT)


def test_texts_that_cannot_be_made_hold_the_run(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2, name="小明")
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": None}}
    _campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    opening.open_run(run_id, clock.now)
    with writing() as session:
        session.execute(sa.update(runs.Message).values(params="not json"))
    work(app, clock)
    assert (the_run(run_id).hold_reason, funnel(run_id).queued, len(provider.sent)) == ("fault", 2, 0)


def test_a_write_back_the_database_refuses_once_is_repeated(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.contacts(3)
    _campaign, run_id = confirmed(clock.now)
    write_back, refusals = results.write_back, iter([True])

    def refusing(*given: Any) -> bool:
        if next(refusals, False):
            raise OperationalError("UPDATE", {}, Exception("deadlock"))
        return write_back(*given)

    monkeypatch.setattr(results, "write_back", refusing)
    work(app, clock)
    assert (funnel(run_id).accepted, the_run(run_id).parts) == (3, 3)


def test_the_gravest_trouble_of_a_batch_counts(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(3)
    provider.per_request = 1
    troubles = iter([AccountError("401", outcome=Outcome.CREDENTIALS), Throttled("429")])
    provider.script = lambda submission: next(troubles, None)
    provider.max_concurrency = 3
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert the_run(run_id).hold_reason == Outcome.CREDENTIALS


def test_no_trouble_of_the_channel_undoes_a_persons_pause(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    actions.pause(run_id, OPERATOR, clock.now)
    with writing() as session:
        assert not runs.hold(session, run_id, HoldReason.THROTTLED, clock.now, clock.now)
    assert the_run(run_id).hold_reason == "paused"


def test_a_run_that_is_paused_with_everything_answered_still_ends(app: Flask, clock: FakeClock) -> None:
    # given a paused run whose last batch was in the hands of a worker that died
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    with writing() as session:
        session.execute(sa.update(runs.Batch).values(state=runs.BatchState.CLAIMED, lease_until=clock.now))
        tallies.add_to_tallies(session, run_id, {("queued", ""): -1, ("in_flight", ""): 1})
    actions.pause(run_id, OPERATOR, clock.now)
    clock.forward(seconds=1)
    sweeping.sweep(clock.now)
    assert (status(campaign), funnel(run_id).unconfirmed) == (Status.SENT, 1)


def test_a_limited_channel_takes_no_more_than_a_second_s_worth_in_one_request(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(20)
    channel = builders.channel(rate=10)
    sizes: list[int] = []
    provider.script = lambda submission: sizes.append(len(submission.messages))
    _campaign, run_id = confirmed(clock.now, channel_id=channel.id)
    work(app, clock)
    assert (max(sizes), funnel(run_id).accepted) == (10, 20)


def test_without_redis_a_sender_keeps_to_its_share_of_the_rate(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(30)
    channel = builders.channel(rate=1000)
    provider.per_request = 10
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere/v.sock")
    _campaign, run_id = confirmed(clock.now, channel_id=channel.id)
    work(app, clock)
    assert funnel(run_id).accepted == 30


def test_a_channel_mended_while_a_sender_lives_is_taken_up_anew(app: Flask, clock: FakeClock) -> None:
    # given a sender that knows a run of a channel
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    there = sender.Sender(app, clock)
    there.registry.refresh()
    assert (list(there.registry.runs), len(there.registry.channels)) == ([run_id], 1)
    # when the run is held
    actions.pause(run_id, OPERATOR, clock.now)
    there.registry.refresh()
    # then it forgets both, to make them anew with whatever a person has changed
    assert (there.registry.runs, there.registry.channels) == ({}, {})
    assert current_session().get(Run, run_id) is not None


def test_a_run_of_which_nothing_is_in_hand_may_claim_though_the_others_fill_the_sender(
    app: Flask, clock: FakeClock
) -> None:
    # given two runs of a channel, one of which fills the sender
    builders.contacts(1)
    channel = builders.channel()
    for _ in range(2):
        _campaign, run_id = confirmed(clock.now, channel_id=channel.id)
        opening.open_run(run_id, clock.now)
    there = sender.Sender(app, clock)
    there.registry.refresh()
    huge, small = there.registry.runs.values()
    huge.batches = huge.channel.batches = run_registry.OPEN_BATCHES
    # then the other one may claim, until there is nothing to claim or something in hand
    assert (huge.may_claim, small.may_claim) == (False, True)
    assert [batch.run_id for batch in there.registry.claim(1, {})] == [small.run_id]
    assert there.registry.claim(1, {}) == []
    there.registry.note_nothing_claimed()
    assert not small.may_claim
    there.registry.refresh()
    assert small.may_claim
    small.batches = 1
    assert not small.may_claim
    # nor once the sender is finishing
    small.batches = 0
    there.registry.finish()
    assert not small.may_claim


def test_a_run_that_another_sender_is_freezing_keeps_nobody_waiting(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    with db.engine.connect() as other:
        other.execute(sa.select(Run.id).where(Run.id == run_id).with_for_update())
        busy = db.engine.dialect.name == "postgresql"  # on SQLite only one can write at all, and waits for its turn
        if busy:
            assert not opening.open_run(run_id, clock.now)
    assert opening.open_run(run_id, clock.now)
    assert not opening.open_run(run_id, clock.now)


def test_a_job_that_no_worker_takes_makes_a_sender_look_around(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a ring that is heard, none, one while the sender freezes an audience, and then the end of the story
    there, seen = sender.Sender(app, clock), list[str]()
    heard = [True, False]

    def hears(listener: str, name: str) -> bool:
        seen.append(f"{listener} {name}")
        return heard.pop(0)

    monkeypatch.setattr(sender, "QUEUE_POLL_SECONDS", 0.0)
    monkeypatch.setattr(queue, "queue_grew", hears)
    monkeypatch.setattr(there, "_poll_now", lambda: seen.append("poll"))
    # when
    with pytest.raises(IndexError):
        asyncio.run(there._watch_queue())
    # then it looks once, and all senders listen as one
    assert seen == ["senders send", "poll", "senders send", "senders send"]
    # but not one whose channels are its own
    held = sender.Sender(app, clock, held_channels=lambda: [1])
    seen.clear()
    with pytest.raises(IndexError):
        asyncio.run(held._watch_queue())
    assert seen == [f"{held.claim_id} send"]


def test_a_sender_that_freezes_an_audience_leaves_jobs_to_the_others(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = sender.Sender(app, clock)
    asked = list[object]()

    async def story() -> None:
        there.freezing = asyncio.get_running_loop().create_future()
        listening = asyncio.create_task(there._watch_queue())
        for _ in range(5):
            await asyncio.sleep(0)
        listening.cancel()

    monkeypatch.setattr(sender, "QUEUE_POLL_SECONDS", 0.0)
    monkeypatch.setattr(queue, "queue_grew", lambda *given: asked.append(given))
    asyncio.run(story())
    assert asked == []


def test_of_several_that_listen_one_hears_of_a_job_and_none_does_without_redis(app: Flask) -> None:
    assert not queue.queue_grew("senders", queue.SEND)
    queue.enqueue(queue.SEND, "send", 1)
    assert [queue.queue_grew("senders", queue.SEND) for _ in range(2)] == [True, False]
    assert queue.queue_grew("one that holds its channels", queue.SEND)
    # and of the next one
    queue.enqueue(queue.SEND, "send", 2)
    assert queue.queue_grew("senders", queue.SEND)
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere/v.sock")
    assert not queue.queue_grew("senders", queue.SEND)


def test_a_run_in_its_quiet_hours_is_held_before_anything_of_it_is_claimed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a marketing run that one sender has taken up, and another without quiet hours
    builders.contacts(1)
    channel = builders.channel(quiet_from="21:00", quiet_until="08:00")
    marketing = builders.template(channel.id, purpose="marketing")
    _first, quiet = confirmed(clock.now, channel_id=channel.id, template_id=marketing.id)
    _second, loud = confirmed(clock.now, channel_id=channel.id)
    for run_id in (quiet, loud):
        opening.open_run(run_id, clock.now)
    there = sender.Sender(app, clock)
    there.registry.refresh()
    # when it is night in Shanghai
    clock.now = dt.datetime(2026, 3, 2, 14, 30, tzinfo=dt.UTC)
    # then the other one is claimed
    assert [batch.run_id for batch in there.registry.claim(1, {})] == [loud]
    assert (the_run(quiet).state, the_run(quiet).hold_reason) == (RunState.HELD, "quiet_hours")
    assert (funnel(quiet).queued, funnel(quiet).in_flight, funnel(loud).in_flight) == (1, 0, 1)


def test_a_short_hold_is_waited_out_by_the_sender_and_the_next_one_starts_at_the_pace_that_was_learned(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a provider that takes thirty messages and then asks to slow down, once
    monkeypatch.setattr(run_registry, "WAITED_OUT", dt.timedelta(seconds=15))
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.01)
    builders.contacts(60)
    provider.per_request = 1
    turns = iter(range(1000))
    provider.script = lambda submission: Throttled("429") if next(turns) == 30 else None
    campaign, run_id = confirmed(clock.now)

    def ticking() -> dt.datetime:
        clock.forward(seconds=0.2)
        return clock.now

    # when one sender works
    sender.send(app, ticking)
    # then all of it has left
    assert (the_run(run_id).state, funnel(run_id).accepted) == (RunState.DONE, 60)
    # and every other sender knows the pace, up to what a person has set
    known = paces.of(current_session(), [campaign.channel_id or 0])[campaign.channel_id or 0]
    assert 15 <= known.limit <= 30
    there = sender.Sender(app, clock)
    again = confirmed(clock.now, channel_id=campaign.channel_id)[1]
    opening.open_run(again, clock.now)
    there.registry.refresh()
    (work,) = there.registry.runs.values()
    assert work.channel.rate == max(1, int(known.rate(clock.now)))
    work.channel.highest_rate = 3
    there.registry._apply_paces(clock.now)
    assert work.channel.rate == 3


def test_what_is_refused_for_the_pace_alone_beside_others_leaves_later(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(10)
    first = iter([[SubmitResult(True)] * 6 + [SubmitResult(False, outcome=Outcome.THROTTLED, code="slow")] * 4])
    provider.script = lambda submission: next(first, None)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).queued, the_run(run_id).hold_reason) == (6, 4, "throttled")
    clock.forward(seconds=2)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).refused) == (10, 0)


def test_a_submit_is_five_calls_from_claimed_to_the_adapter(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    """With at most seven calls of an adapter (tests/channels/contract.py) a text is twelve calls from the wire."""
    builders.contacts(1)
    confirmed(clock.now)
    calls: list[str] = []

    def script(_submission: SubmitRequest) -> None:
        frame = sys._getframe()
        while frame.f_back is not None and calls[-1:] != ["_make_calls"]:  # the first call of its task
            frame = frame.f_back
            calls.append(frame.f_code.co_name)

    provider.script = script
    work(app, clock)
    # the fake adapter's send is the first one; the task was begun two calls below the claim
    assert calls == ["send", "send", "_call", "_make_calls"]
    assert ["_send_batch", "submit", *calls[:0:-1]] == ["_send_batch", "submit", "_make_calls", "_call", "send"]
