"""A month's budget is reserved by confirmations, settled by what was sent, and never exceeded."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.errors import NotSent
from smsapp.channels.types import SubmitRequest, SubmitResult
from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import campaigns
from smsapp.services.channels import accounts
from smsapp.services.sending import actions, budgets, opening, snapshot, starting, sweeping
from smsapp.services.sending.budgets import BudgetBar, WantedBudget
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, dialect, writing
from smsapp.store.runs import runs
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, claimed, daily, status, the_run, work
from tests.fakes import FakeChannel, FakeClock

PEOPLE = 10


def budget(most: int | str, clock: FakeClock, **given: Any) -> int:
    values: dict[str, Any] = {"scope": BudgetScope.ALL, "scope_id": 0, "unit": BudgetUnit.PARTS, "currency": ""}
    values["most"] = Decimal(most)
    return budgets.put(WantedBudget(**(values | given)), OPERATOR, clock.now)


def bar(clock: FakeClock) -> BudgetBar:
    current_session().commit()
    current_session().expire_all()
    return budgets.bars(clock.now)[0]


def use(clock: FakeClock) -> tuple[int, int, int]:
    """Reserved, spent and free of the first budget in this month."""
    shown = bar(clock).use
    return shown.reserved, shown.spent, shown.free


def confirm(campaign: Campaign, clock: FakeClock) -> Status:
    template = current_session().get_one(SmsTemplate, campaign.template_id)
    mark = campaigns.review_mark(template, None)
    return campaigns.confirm(campaign.id, campaign.version, mark, OPERATOR, clock.now)


def latest(campaign: Campaign) -> Any:
    run = runs.latest(current_session(), campaign.id)
    assert run is not None
    return the_run(run.id)


def test_a_confirmation_reserves_and_what_was_sent_is_spent(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    budget(25, clock)
    builders.contacts(PEOPLE)
    confirm(builders.campaign(), clock)
    assert use(clock) == (PEOPLE, 0, 15)
    work(app, clock)
    assert use(clock) == (0, PEOPLE, 15)


def test_what_a_budget_does_not_hold_is_not_confirmed(app: Flask, clock: FakeClock) -> None:
    budget(PEOPLE - 1, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign()
    with pytest.raises(Refusal) as refused:
        confirm(campaign, clock)
    assert refused.value.problems == (Problem("budget_exceeded"),)
    assert status(campaign) == Status.DRAFT
    assert use(clock) == (0, 0, PEOPLE - 1)


def test_a_stopped_campaign_gives_its_reservation_back(app: Flask, clock: FakeClock) -> None:
    budget(25, clock)
    builders.contacts(PEOPLE)
    schedule = daily(clock.now)
    campaign = builders.campaign(schedule=schedule.as_json(), recurring=True)
    confirm(campaign, clock)
    assert use(clock) == (PEOPLE, 0, 15)
    campaigns.stop(campaign.id, OPERATOR, clock.now)
    assert use(clock) == (0, 0, 25)


def test_a_run_that_is_ended_before_its_freeze_gives_its_reservation_back(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    budget(25, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign()
    confirm(campaign, clock)
    assert use(clock) == (PEOPLE, 0, 15)
    actions.end(latest(campaign).id, OPERATOR, clock.now)
    assert use(clock) == (0, 0, 25)


def test_a_campaign_that_misses_its_time_gives_its_reservation_back(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a campaign for tomorrow, and nobody there to start it
    budget(25, clock)
    builders.contacts(PEOPLE)
    tomorrow = Schedule(Kind.ONCE, "UTC", dt.time(10), clock.now.date() + dt.timedelta(days=1))
    campaign = builders.campaign(schedule=tomorrow.as_json())
    confirm(campaign, clock)
    assert use(clock) == (PEOPLE, 0, 15)
    # when it is looked at days too late
    clock.forward(days=3)
    starting.start(campaign.id, clock.now)
    assert (status(campaign), use(clock)) == (Status.FAILED, (0, 0, 25))


def test_a_budget_in_another_currency_limits_nothing_also_if_it_is_overdrawn(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a budget of which more is reserved than it is now
    channel = builders.channel(price=Decimal("0.05"), currency="USD")
    money: dict[str, Any] = {"unit": BudgetUnit.MONEY, "currency": "USD"}
    budget(1, clock, **money)
    builders.contacts(PEOPLE)
    confirm(builders.campaign(channel_id=channel.id), clock)
    budget("0.01", clock, **money)
    # when a campaign is paid in another one
    yuan = builders.channel(price=Decimal("0.05"), currency="CNY")
    assert confirm(builders.campaign(channel_id=yuan.id), clock) is Status.SENDING


def test_a_freeze_that_fails_at_its_end_reserves_once(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(25, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign()
    confirm(campaign, clock)
    run_id = latest(campaign).id

    def fails(*_given: Any, **_values: Any) -> bool:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(runs, "move", fails)
        with pytest.raises(ConnectionError):
            opening.open_run(run_id, clock.now)
    assert use(clock) == (PEOPLE, 0, 15)
    opening.open_run(run_id, clock.now)
    assert use(clock) == (PEOPLE, 0, 15)
    work(app, clock)
    assert use(clock) == (0, PEOPLE, 15)


def test_what_others_confirm_during_a_long_freeze_does_not_make_it_fail(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "postgresql":
        pytest.skip("SQLite has one writer")
    # given a campaign that is being frozen, and another one that is confirmed meanwhile
    budget(25, clock)
    builders.contacts(PEOPLE)
    first, second = builders.campaign(), builders.campaign()
    confirm(first, clock)
    run_id = latest(first).id
    template = current_session().get_one(SmsTemplate, second.template_id)
    second_id, mark = second.id, campaigns.review_mark(template, None)
    current_session().commit()
    take = snapshot.take

    def meanwhile(*given: Any) -> Any:
        other = threading.Thread(target=confirmed_elsewhere)
        other.start()
        other.join()
        return take(*given)

    def confirmed_elsewhere() -> None:
        with app.app_context():
            campaigns.confirm(second_id, 1, mark, OPERATOR, clock.now)

    monkeypatch.setattr(snapshot, "take", meanwhile)
    opening.open_run(run_id, clock.now)
    # then both are there, and the budget knows of both
    assert (the_run(run_id).state, use(clock)) == (RunState.SENDING, (2 * PEOPLE, 0, 5))


def test_messages_that_fail_over_take_their_reservation_with_them(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two channels with prices of their own, the first of which is down
    one = builders.channel(price=Decimal("0.05"), currency="CNY")
    other = builders.channel(price=Decimal("0.08"), currency="CNY")
    there = builders.template(other.id)
    down, up = FakeChannel(1), FakeChannel(1)
    down.script = lambda _submission: NotSent("refused")
    monkeypatch.setattr(accounts, "adapter", {one.id: down, other.id: up}.__getitem__)
    money: dict[str, Any] = {"unit": BudgetUnit.MONEY, "currency": "CNY", "scope": BudgetScope.CHANNEL}
    budget(1, clock, scope_id=one.id, **money)
    second = budget("0.50", clock, scope_id=other.id, **money)
    builders.contacts(PEOPLE)
    campaign = builders.campaign(channel_id=one.id, second_channel_id=other.id, second_template_id=there.id)
    template = current_session().get_one(SmsTemplate, campaign.template_id)
    mark = campaigns.review_mark(template, there)
    campaigns.confirm(campaign.id, campaign.version, mark, OPERATOR, clock.now)
    run_id = latest(campaign).id
    work(app, clock)
    current_session().commit()
    nothing = Decimal(0)
    assert [(bar.reserved, bar.spent) for bar in budgets.bars(clock.now)] == [(Decimal("0.5"), nothing), (nothing,) * 2]
    # when it moves to a channel whose budget is too small
    clock.forward(seconds=301)
    work(app, clock)
    sweeping.sweep(clock.now)
    work(app, clock)
    onward = latest(campaign)
    assert onward.id != run_id
    assert (onward.state, onward.hold_reason, up.sent.total()) == (RunState.HELD, HoldReason.BUDGET, 0)
    # then it goes out once the budget is raised, and what was reserved for the first channel is free again
    with pytest.raises(Refusal):
        actions.resume(onward.id, OPERATOR, clock.now)
    assert budget("0.80", clock, scope_id=other.id, **money) == second
    actions.resume(onward.id, OPERATOR, clock.now)
    work(app, clock)
    current_session().commit()
    assert [(bar.reserved, bar.spent) for bar in budgets.bars(clock.now)] == [(nothing,) * 2, (nothing, Decimal("0.8"))]
    assert up.sent.total() == PEOPLE


def test_refused_messages_are_released_and_unconfirmed_ones_count_as_spent(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a provider that refuses half of what it gets
    def half(submission: SubmitRequest) -> list[SubmitResult]:
        refused = SubmitResult(False, "", Outcome.NO_SUCH_SUBSCRIBER, "X")
        taken = len(submission.messages) // 2
        return [SubmitResult(True, f"p{message.ref}") for message in submission.messages[:taken]] + [refused] * (
            len(submission.messages) - taken
        )

    budget(100, clock)
    builders.contacts(PEOPLE)
    provider.script = half
    confirm(builders.campaign(), clock)
    work(app, clock)
    assert use(clock) == (0, PEOPLE // 2, 95)
    # and then one that does not say whether it has taken them
    provider.script = lambda submission: [SubmitResult(False, unconfirmed=True) for _message in submission.messages]
    confirm(builders.campaign(), clock)
    work(app, clock)
    assert use(clock) == (0, PEOPLE // 2 + PEOPLE, 85)


def test_a_run_larger_than_its_estimate_is_held_before_its_first_text_until_the_budget_is_raised(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a confirmed campaign whose audience grows beyond the budget before it begins
    budget(12, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign()
    confirm(campaign, clock)
    builders.contacts(PEOPLE)
    work(app, clock)
    run = latest(campaign)
    assert (run.state, run.hold_reason, provider.sent.total()) == (RunState.HELD, HoldReason.BUDGET, 0)
    # when it is resumed without a change it is held again
    actions.resume(run.id, OPERATOR, clock.now)
    work(app, clock)
    assert (latest(campaign).hold_reason, provider.sent.total()) == (HoldReason.BUDGET, 0)
    # and once a person has raised the budget it goes out
    budget(20, clock)
    actions.resume(run.id, OPERATOR, clock.now)
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.SENT, 2 * PEOPLE)
    assert use(clock) == (0, 2 * PEOPLE, 0)


def test_each_run_of_a_recurring_campaign_takes_from_its_own_month(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    budget(15, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign(schedule=daily(clock.now).as_json(), recurring=True)
    confirm(campaign, clock)
    clock.forward(days=1)
    starting.start(campaign.id, clock.now)
    work(app, clock)
    assert use(clock) == (0, PEOPLE, 5)
    # the second run of the month is too much, and given up
    clock.forward(days=1)
    starting.start(campaign.id, clock.now)
    work(app, clock)
    assert latest(campaign).hold_reason == HoldReason.BUDGET
    actions.end(latest(campaign).id, OPERATOR, clock.now)
    # in the next month there is a budget again
    clock.forward(days=31)
    assert use(clock) == (0, 0, 15)


def test_money_of_a_channel_and_of_a_person(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    olga = builders.person()
    channel = builders.channel(price=Decimal("0.045"), currency="CNY")
    money = {"unit": BudgetUnit.MONEY, "currency": "CNY"}
    budget("0.50", clock, scope=BudgetScope.CHANNEL, scope_id=channel.id, **money)
    budget(100, clock, scope=BudgetScope.PERSON, scope_id=olga.id)
    builders.contacts(PEOPLE)
    confirm(builders.campaign(channel_id=channel.id, created_by=olga.id), clock)
    work(app, clock)
    first, second = budgets.bars(clock.now)
    assert (first.spent, first.free) == (Decimal("0.45"), Decimal("0.05"))
    assert (int(second.spent), second.of) == (PEOPLE, olga.name)
    with pytest.raises(Refusal):
        confirm(builders.campaign(channel_id=channel.id), clock)
    # another channel and another person are not limited
    assert confirm(builders.campaign(), clock) is Status.SENDING
    # a price that is not known cannot be counted
    with writing() as session:
        session.get_one(ChannelRow, channel.id).price = None
    with pytest.raises(Refusal):
        confirm(builders.campaign(channel_id=channel.id), clock)


def test_a_killed_worker_leaves_the_reservation_to_whoever_closes_the_run(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    budget(100, clock)
    builders.contacts(PEOPLE)
    campaign = builders.campaign()
    confirm(campaign, clock)
    opening.open_run(latest(campaign).id, clock.now)
    claimed(campaign, clock, "killed")
    clock.forward(minutes=5)
    sweeping.sweep(clock.now)
    work(app, clock)
    # the batch in its hands is unconfirmed, and counts as spent
    assert use(clock) == (0, PEOPLE, 90)


def test_twenty_campaigns_at_the_same_moment_never_exceed_the_budget(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a budget for seven of twenty campaigns
    budget(7 * PEOPLE + 5, clock)
    builders.contacts(PEOPLE)
    segment, channel = builders.segment(), builders.channel()
    template = builders.template(channel.id)
    chosen = {"segment_id": segment.id, "channel_id": channel.id, "template_id": template.id}
    campaign_ids = [builders.campaign(**chosen).id for _ in range(20)]
    mark = campaigns.review_mark(template, None)
    current_session().commit()
    barrier = threading.Barrier(len(campaign_ids))
    outcomes: list[str] = []
    errors: list[BaseException] = []

    def press(campaign_id: int) -> None:
        with app.app_context():
            barrier.wait()
            try:
                campaigns.confirm(campaign_id, 1, mark, OPERATOR, clock.now)
                outcomes.append("confirmed")
            except Conflict as error:
                errors.append(error)
            except Refusal as refusal:
                outcomes.append(refusal.problems[0].code)
            except BaseException as error:
                errors.append(error)

    # when all buttons are pressed at once
    threads = [threading.Thread(target=press, args=(campaign_id,)) for campaign_id in campaign_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then exactly seven are confirmed, and all of them are sent within the budget
    assert not errors
    assert (outcomes.count("confirmed"), outcomes.count("budget_exceeded")) == (7, 13)
    assert use(clock) == (7 * PEOPLE, 0, 5)
    work(app, clock)
    assert use(clock) == (0, 7 * PEOPLE, 5)
    assert provider.sent.total() == 7 * PEOPLE


WRONG: dict[str, Callable[[], dict[str, Any]]] = {
    "budget_most": lambda: {"most": Decimal(-1)},
    "budget_currency": lambda: {"unit": BudgetUnit.MONEY, "currency": "yuan"},
    "budget_of_nobody": lambda: {"scope": BudgetScope.CHANNEL, "scope_id": 4711},
}


@pytest.mark.parametrize("code", WRONG)
def test_a_budget_that_means_nothing_is_refused(app: Flask, clock: FakeClock, code: str) -> None:
    given: dict[str, Any] = {"most": 5, "clock": clock} | WRONG[code]()
    with pytest.raises(Refusal) as refused:
        budget(**given)
    assert [problem.code for problem in refused.value.problems] == [code]
