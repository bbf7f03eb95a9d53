"""Not later than, and evenly until: nothing leaves after the limit, what is left expires, and the numbers add up."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.errors import Throttled
from smsapp.channels.types import SubmitRequest
from smsapp.domain.campaign import Status
from smsapp.domain.rest_days import Rest
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.reports import verify
from smsapp.services.sending import actions, opening, sender, sweeping, time_limits
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from tests import builders
from tests.engine import OPERATOR, confirmed, funnel, recount, status, the_run, work
from tests.fakes import FakeChannel, FakeClock

SHANGHAI = "Asia/Shanghai"


def now_until(time: str, **fields: Any) -> dict[str, Any]:
    """A schedule that sends at once, and nothing later than this local time."""
    return Schedule(Kind.NOW, SHANGHAI, until=dt.time.fromisoformat(time), **fields).as_json()


class SlowProvider:
    """Notes when each text was submitted; answering takes some time of the fake clock."""

    def __init__(self, provider: FakeChannel, clock: FakeClock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.submitted: list[dt.datetime] = []
        provider.per_request = 1
        provider.script = self.answer

    def answer(self, submission: SubmitRequest) -> None:
        self.submitted += [self.clock.now] * len(submission.messages)
        self.clock.forward(seconds=self.seconds)


def verified() -> list[str]:
    return [line for check in verify.verify() for line in check.broken]


def test_nothing_is_submitted_after_the_limit_however_slow_the_provider_is(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given 30 people, a provider that takes 20 s for each, and five minutes
    builders.contacts(30)
    slow = SlowProvider(provider, clock, 20)
    limit = clock.now + dt.timedelta(minutes=5)
    campaign, run_id = confirmed(clock.now, schedule=now_until("10:05"))
    # when
    work(app, clock)
    # then 15 left in time; the others expired, and are neither billed nor sent again
    assert max(slow.submitted) < limit
    numbers = funnel(run_id)
    assert (numbers.accepted, numbers.expired, numbers.planned) == (15, 15, 30)
    assert recount(run_id) == {"accepted": 15, "expired": 15}
    assert (numbers.parts, status(campaign)) == (15, Status.SENT)
    work(app, clock)
    assert len(slow.submitted) == 15
    assert verified() == []


@pytest.mark.parametrize("seed", range(3))
def test_the_limit_holds_at_any_moment_of_many_calls(
    app: Flask, provider: FakeChannel, clock: FakeClock, seed: int
) -> None:
    # given calls that take any time, some of which are throttled
    dice = random.Random(seed)
    builders.contacts(40)
    slow = SlowProvider(provider, clock, 0)
    limit = clock.now + dt.timedelta(minutes=1)

    def answer(submission: SubmitRequest) -> Throttled | None:
        slow.seconds = dice.choice((0.0, 0.5, 3.0, 30.0))
        if dice.random() < 0.1:
            clock.forward(seconds=slow.seconds)
            return Throttled("slow", retry_after=1.0)
        slow.answer(submission)
        return None

    provider.script = answer
    _campaign, run_id = confirmed(clock.now, schedule=now_until("10:01"))
    # when senders and sweeps come as they do
    for _ in range(12):
        work(app, clock)
        clock.forward(seconds=10)
        sweeping.sweep(clock.now)
    # then
    numbers = funnel(run_id)
    assert not slow.submitted or max(slow.submitted) < limit
    assert numbers.accepted + numbers.expired == 40
    assert numbers.accepted == len(slow.submitted)
    assert verified() == []


def test_a_paused_run_expires_at_its_limit_and_the_campaign_says_so(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(4)
    campaign, run_id = confirmed(clock.now, schedule=now_until("10:30"))
    opening.open_run(run_id, clock.now)
    actions.pause(run_id, OPERATOR, clock.now)
    # when its time is not over, nothing happens
    clock.forward(minutes=29)
    sweeping.sweep(clock.now)
    assert (the_run(run_id).state, funnel(run_id).queued) == (RunState.HELD, 4)
    # when it is
    clock.forward(minutes=1)
    sweeping.sweep(clock.now)
    # then
    assert (the_run(run_id).state, funnel(run_id).expired) == (RunState.DONE, 4)
    current_session().refresh(campaign)
    assert (campaign.status, campaign.failure) == (Status.FAILED, "expired_run")
    assert verified() == []


def test_a_run_that_is_held_before_its_audience_is_frozen_fails_at_its_limit(app: Flask, clock: FakeClock) -> None:
    campaign, run_id = confirmed(clock.now, schedule=now_until("10:30"))
    with writing() as session:
        runs.hold(session, run_id, HoldReason.TEMPLATE_CHANGED, None, clock.now)
    clock.forward(minutes=31)
    sweeping.sweep(clock.now)
    current_session().refresh(campaign)
    assert (the_run(run_id).state, campaign.status) == (RunState.DONE, Status.FAILED)
    assert the_run(run_id).failure == "expired_run"


def test_what_may_have_left_before_a_restore_is_unconfirmed_and_not_expired(app: Flask, clock: FakeClock) -> None:
    builders.contacts(3)
    _campaign, run_id = confirmed(clock.now, schedule=now_until("10:30"))
    opening.open_run(run_id, clock.now)
    with writing() as session:
        runs.hold(session, run_id, HoldReason.RESTORED_BLIND, None, clock.now)
    clock.forward(minutes=31)
    sweeping.sweep(clock.now)
    assert (funnel(run_id).unconfirmed, funnel(run_id).expired) == (3, 0)


def test_the_provider_is_told_the_limit(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2)
    limits: list[dt.datetime | None] = []
    provider.script = lambda submission: limits.append(submission.valid_until)
    confirmed(clock.now, schedule=now_until("10:30"))
    work(app, clock)
    assert limits == [clock.now + dt.timedelta(minutes=30)]


class TickingClock(FakeClock):
    """A clock that goes on a little whenever somebody looks at it."""

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=0.5)
        return self.now


def test_a_campaign_is_sent_evenly_and_others_beside_it_at_their_speed(
    app: Flask, provider: FakeChannel, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given 60 people until 10:10, which is one every ten seconds, and another campaign to the same people
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.01)
    clock = TickingClock(now)
    builders.contacts(60)
    evenly = Schedule(Kind.NOW, SHANGHAI, spread_until=dt.time(10, 10)).as_json()
    _campaign, run_id = confirmed(now, schedule=evenly)
    _other, other_id = confirmed(now)
    times: dict[str, list[float]] = {"even": [], "other": []}

    def script(submission: SubmitRequest) -> None:
        for message in submission.messages:
            name = "even" if message.ref.startswith(f"{run_id}-") else "other"
            times[name].append((clock.now - now).total_seconds())

    provider.script = script
    # when one sender after the other has its time
    for _ in range(30):
        work(app, clock)
        if not funnel(run_id).open:
            break
    # then no stretch of it had more than its share, and it took about the time it was given
    even = times["even"]
    assert len(even) == 60
    for begin in range(60):
        for end in range(begin, 60):
            assert end - begin <= (even[end] - even[begin]) / 10 + 1.01
    assert 570 <= even[-1] <= 660
    # and the other one did not wait for it
    assert len(times["other"]) == 60
    assert max(times["other"]) < 120
    assert funnel(run_id).accepted == funnel(other_id).accepted == 60


def test_two_senders_and_a_restart_do_not_exceed_a_runs_own_rate(app: Flask, clock: FakeClock) -> None:
    # given a run that may send one message a second
    builders.contacts(100)
    evenly = Schedule(Kind.NOW, SHANGHAI, spread_until=dt.time(10, 1, 40)).as_json()
    _campaign, run_id = confirmed(clock.now, schedule=evenly)
    opening.open_run(run_id, clock.now)
    begun = clock.now
    claimed = 0
    # when whoever comes claims what it gets, for a while nobody does, and then they go on
    for second in range(40):
        clock.now = begun + dt.timedelta(seconds=second + (60 if second >= 20 else 0))
        for worker in ("first", "second"):
            with writing() as session:
                claim = time_limits.Claim(worker, clock.now + dt.timedelta(minutes=9), {})
                batches = time_limits.claim_at_own_rate(session, run_id, claim, clock.now)
                claimed += sum(len(batch.rows) for batch in batches)
        if second == 19:
            assert claimed == 20
    # then the pause has earned five seconds' worth and no more
    assert claimed == 20 + 5 + 19
    assert the_run(run_id).own_rate == 1.0


def test_a_run_does_not_go_on_into_a_day_of_rest(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given the last minute of 30 April 2026, a campaign that rests on holidays, and a slow provider
    clock.now = dt.datetime(2026, 4, 30, 15, 59, tzinfo=dt.UTC)
    builders.contacts(6)
    slow = SlowProvider(provider, clock, 20)
    _campaign, run_id = confirmed(clock.now, schedule=Schedule(Kind.NOW, SHANGHAI, rest=Rest.WAIT).as_json())
    # when
    work(app, clock)
    # then it waits until 6 May
    run: Run = the_run(run_id)
    assert (run.state, run.hold_reason, len(slow.submitted)) == (RunState.HELD, HoldReason.QUIET_HOURS, 3)
    assert run.hold_until == dt.datetime(2026, 5, 5, 16, 0, tzinfo=dt.UTC)
