"""Workers that die, slots that are missed, campaigns that come back."""

from __future__ import annotations

import datetime as dt

from flask import Flask

from smsapp.domain import message
from smsapp.domain.campaign import Status
from smsapp.domain.run import RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.sending import actions, opening, starting, sweeping
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims, funnels, results, runs
from tests import builders
from tests.engine import (
    OPERATOR,
    campaign_due,
    confirmed,
    daily,
    funnel,
    in_hands,
    recount,
    status,
    waiting,
    work,
)
from tests.fakes import FakeChannel, FakeClock


def test_a_worker_that_never_comes_back_leaves_unconfirmed_messages_not_doubles(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a worker that died with a batch in its hands
    campaign, run_id, dead = in_hands(1200, clock, "dead")
    # when the others go on, and the lease runs out
    work(app, clock)
    assert (funnel(run_id).in_flight, funnel(run_id).accepted) == (1000, 200)
    clock.forward(seconds=61)
    sweeping.sweep(clock.now)
    # then nobody was written to twice and the campaign is over
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (1000, 200)
    assert recount(run_id) == {"unconfirmed": 1000, "accepted": 200}
    assert status(campaign) == Status.SENT
    # and if it was only slow, its answers settle the doubt
    answers = [results.MessageResult(seq, message.Status.ACCEPTED, 1) for seq, _phone, _params in dead.rows]
    with writing() as session:
        assert not results.write_back(session, [results.prepare_results(dead, answers)], 0)
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (0, 1200)


def test_a_lease_is_extended_while_its_worker_lives(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    with writing() as session:
        claims.claim_batches(session, [run_id], 0, "w1", clock.now + dt.timedelta(seconds=60), 1, {})
        claims.extend_leases(session, "w1", clock.now + dt.timedelta(seconds=600))
    clock.forward(seconds=61)
    sweeping.sweep(clock.now)
    assert funnel(run_id).in_flight == 1


def test_a_batch_is_claimed_by_one_worker_only(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    minute = dt.timedelta(seconds=60)
    with writing() as session:
        assert claims.claim_batches(session, [run_id], 0, "w1", clock.now + minute, 1, {})
        assert not claims.claim_batches(session, [run_id], 0, "w2", clock.now + minute, 1, {})


def test_a_recurring_campaign_rests_between_its_runs_and_ends_after_its_last(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    schedule = daily(clock.now, end=clock.now.date() + dt.timedelta(days=1))
    campaign = waiting(clock.now, schedule, clock.now)
    # when its first slot comes
    first = starting.start(campaign.id, clock.now)
    assert starting.start(campaign.id, clock.now) is None
    work(app, clock)
    # then it waits for the second
    assert status(campaign) == Status.WAITING
    assert campaign.next_due_at == clock.now + dt.timedelta(days=1)
    # and after that there is none
    clock.forward(days=1)
    second = starting.start(campaign.id, clock.now)
    work(app, clock)
    assert first != second
    assert (status(campaign), campaign_due(campaign)) == (Status.SENT, None)
    assert max(provider.numbers.values()) == 2
    assert funnels.campaign_funnels(current_session(), [campaign.id])[campaign.id].accepted == 4


def test_a_campaign_is_not_started_before_its_time(app: Flask, clock: FakeClock) -> None:
    campaign = waiting(clock.now, daily(clock.now), clock.now + dt.timedelta(minutes=1))
    assert starting.start(campaign.id, clock.now) is None
    assert status(campaign) == Status.WAITING


def test_a_slot_within_the_grace_is_sent_late_one_beyond_it_is_recorded_as_missed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    first_slot = clock.now
    campaign = waiting(clock.now, daily(clock.now), first_slot)
    # given the system was down for two days and an hour
    clock.forward(days=2, hours=1)
    run_id = starting.start(campaign.id, clock.now)
    work(app, clock)
    assert run_id is not None
    slots = [(run.slot, run.state) for run in runs.of_campaign(current_session(), campaign.id)]
    day = dt.timedelta(days=1)
    assert sorted(slots) == [
        (first_slot, RunState.MISSED),
        (first_slot + day, RunState.MISSED),
        (first_slot + 2 * day, RunState.DONE),
    ]
    assert campaign_due(campaign) == first_slot + 3 * day


def test_a_missed_single_send_has_failed_and_says_so(app: Flask, clock: FakeClock) -> None:
    once = Schedule(Kind.ONCE, "Asia/Shanghai", dt.time(10), clock.now.date())
    campaign = waiting(clock.now, once, clock.now)
    clock.forward(hours=3)
    sweeping.sweep(clock.now)
    assert (status(campaign), campaign.failure) == (Status.FAILED, "missed")
    assert [run.verdict for run in runs.of_campaign(current_session(), campaign.id)] == ["missed"]


def test_a_slot_that_comes_while_the_last_run_goes_on_waits_its_turn(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    campaign = waiting(clock.now, daily(clock.now), clock.now)
    run_id = starting.start(campaign.id, clock.now)
    assert run_id is not None
    opening.open_run(run_id, clock.now)
    actions.pause(run_id, OPERATOR, clock.now)
    clock.forward(days=1)
    sweeping.sweep(clock.now)
    assert len(runs.of_campaign(current_session(), campaign.id)) == 1
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    sweeping.sweep(clock.now)
    work(app, clock)
    assert [run.verdict for run in runs.of_campaign(current_session(), campaign.id)] == ["sent", "sent"]
