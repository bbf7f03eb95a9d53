"""A provider that takes requests and never answers: few messages are put unconfirmed, the rest waits."""

from __future__ import annotations

import asyncio

from flask import Flask

from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import SubmitRequest, SubmitResult
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.sending.brake import Brake
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from tests import builders
from tests.engine import confirmed, funnel, the_run, work
from tests.fakes import FakeChannel, FakeClock


class Silent:
    """Loses every answer until told otherwise; `asked` counts requests."""

    def __init__(self) -> None:
        self.answers = False
        self.asked = 0

    def __call__(self, submission: SubmitRequest) -> list[SubmitResult] | OutcomeUnknown | None:
        self.asked += 1
        return None if self.answers else OutcomeUnknown("timeout")


def test_of_622_messages_to_a_silent_provider_about_a_batch_is_unconfirmed_and_the_rest_waits(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given
    builders.contacts(622)
    provider.per_request = 1
    silent = provider.script = Silent()
    _campaign, run_id = confirmed(clock.now)
    # when
    work(app, clock)
    # then the run waits and says why
    held = the_run(run_id)
    assert (held.state, held.hold_reason) == (RunState.HELD, HoldReason.NO_ANSWERS)
    before = funnel(run_id)
    assert 100 <= before.unconfirmed <= 150
    assert before.queued == 622 - before.unconfirmed
    # and when it goes on, one request tries
    for tries in range(1, 3):
        assert held.hold_until is not None
        clock.now = held.hold_until
        work(app, clock)
        held = the_run(run_id)
        assert (held.hold_reason, funnel(run_id).unconfirmed) == (HoldReason.NO_ANSWERS, before.unconfirmed + tries)
    # and all leave once it answers, nobody twice
    silent.answers = True
    clock.now = held.hold_until or clock.now
    work(app, clock)
    after = funnel(run_id)
    assert (after.accepted, after.unconfirmed) == (622 - before.unconfirmed - 2, before.unconfirmed + 2)
    assert max(provider.sent.values()) == 1
    assert funnels.reasons(current_session(), [run_id]) == [("unconfirmed", "no_answer", after.unconfirmed)]


def test_requests_that_carry_many_are_made_one_by_one_until_there_is_an_answer(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(622)
    provider.script = Silent()
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).unconfirmed, the_run(run_id).hold_reason) == (200, HoldReason.NO_ANSWERS)


def test_answers_between_lost_ones_keep_the_brake_off(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(400)
    provider.per_request = 1
    turns = iter(range(400))
    provider.script = lambda submission: OutcomeUnknown("cut") if next(turns) % 3 else None
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (the_run(run_id).state, funnel(run_id).queued) == (RunState.DONE, 0)


def test_the_brake_lets_out_no_more_than_its_limit_before_the_first_answer() -> None:
    async def story() -> None:
        brake = Brake(100)
        for _ in range(100):
            await brake.admit(1, trying=False)
        late = asyncio.create_task(brake.admit(1, trying=False))
        await asyncio.sleep(0)
        assert not late.done()
        brake.answered(1)
        await late
        # with answers there is no such limit
        for _ in range(500):
            await brake.admit(1, trying=False)
        assert brake.out == 600

    asyncio.run(story())


def test_a_request_larger_than_the_limit_leaves_alone() -> None:
    async def story() -> None:
        brake = Brake(100)
        await brake.admit(1000, trying=False)
        second = asyncio.create_task(brake.admit(1000, trying=False))
        await asyncio.sleep(0)
        assert not second.done()
        brake.lose(1000)
        await second
        assert not brake.is_on
        brake.lose(1000)
        assert brake.is_on

    asyncio.run(story())


def test_answers_that_know_nothing_count_as_lost_ones(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(300)
    provider.per_request = 1
    provider.script = lambda submission: [SubmitResult(False, code="500", unconfirmed=True)]
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    held = the_run(run_id)
    assert (held.state, held.hold_reason) == (RunState.HELD, HoldReason.NO_ANSWERS)
    assert 100 <= funnel(run_id).unconfirmed <= 150
