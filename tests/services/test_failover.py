"""A second channel takes over what the first surely did not send: once, with its reason, and nobody twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.types import SubmitResult
from smsapp.domain import message
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.funnel import Funnel, broken_identities
from smsapp.domain.outcome import FAILOVER_OUTCOMES, Outcome
from smsapp.domain.run import RunState
from smsapp.domain.sms_template import fit, neutral, variables
from smsapp.services.channels import accounts
from smsapp.services.reports import verify
from smsapp.services.sending import actions, failover, opening, snapshot, sweeping
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.numbers import classify
from smsapp.store.db import current_session, writing
from smsapp.store.runs import funnels, results, runs
from smsapp.store.runs.results import MessageResult
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, claimed, confirmed, recount, status, the_run, work
from tests.fakes import FakeChannel, FakeClock

pytestmark = pytest.mark.usefixtures("valkey")
DOWN = NotSent("refused")


class TwoChannels:
    """A campaign over two providers, the first with a script."""

    def __init__(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, people: int = 6) -> None:
        self.clock = clock
        self.first, self.second = FakeChannel(1), FakeChannel(1)
        self.first.max_concurrency = self.second.max_concurrency = 1
        builders.contacts(people, name="王伟")
        one, other = builders.channel(price="0.05"), builders.channel(price="0.08")
        self.ids = {one.id: self.first, other.id: self.second}
        monkeypatch.setattr(accounts, "adapter", self.ids.__getitem__)
        template = builders.template(one.id, text="${name}您好")
        self.there = builders.template(other.id, text="{1}您好", signature="青禾")
        self.campaign, self.run_id = confirmed(
            clock.now,
            channel_id=one.id,
            template_id=template.id,
            second_channel_id=other.id,
            second_template_id=self.there.id,
            confirmed_second={"text": self.there.text, "signature": self.there.signature},
            mapping={"name": {"property": "name", "fallback": None}},
        )

    def patience(self, app: Flask) -> None:
        """Let the first channel go on as it does until the automation has had enough; then let the sweep decide."""
        work(app, self.clock)
        self.clock.forward(seconds=301)
        work(app, self.clock)
        self.swept()

    def swept(self) -> None:
        sweeping.sweep(self.clock.now)
        current_session().expire_all()

    def moved(self) -> list[Run]:
        """The runs that took over, oldest first."""
        current_session().expire_all()
        return list(current_session().scalars(sa.select(Run).where(Run.routed != "").order_by(Run.id)))

    def whole(self) -> Funnel:
        """The campaign's numbers; every run's rows and tallies agree."""
        assert [check.broken for check in verify.verify(self.campaign.id) if check.broken] == []
        counts = funnels.campaign_funnels(current_session(), [self.campaign.id])[self.campaign.id]
        assert broken_identities(counts) == []
        return counts

    def texts(self) -> Counter[str]:
        """How many times each number was handed to a provider that took it."""
        return self.first.numbers + self.second.numbers


@pytest.fixture
def both(app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> TwoChannels:
    return TwoChannels(clock, monkeypatch)


def after(taken: int, then: ChannelError | list[SubmitResult]) -> Any:
    """Take so many messages, then answer like this."""
    calls = iter(range(taken))
    return lambda _submission: None if next(calls, None) is not None else then


MOVES = {
    Outcome.BAD_NUMBER: False,
    Outcome.NO_SUCH_SUBSCRIBER: False,
    Outcome.SWITCHED_OFF: False,
    Outcome.SUSPENDED: False,
    Outcome.BLOCKED_BY_CARRIER: False,
    Outcome.OPTED_OUT: False,
    Outcome.FREQUENCY_LIMIT: False,
    Outcome.CONTENT_REFUSED: False,
    Outcome.TEMPLATE_REFUSED: True,
    Outcome.SIGNATURE_REFUSED: True,
    Outcome.SIGNATURE_UNREGISTERED: False,
    Outcome.TEMPLATE_UNREGISTERED: False,
    Outcome.CONTACT_BLOCKED: False,
    Outcome.OUTSIDE_HOURS: False,
    Outcome.CREDENTIALS: True,
    Outcome.BALANCE: True,
    Outcome.QUOTA: True,
    Outcome.THROTTLED: True,
    Outcome.EXPIRED: False,
    Outcome.NETWORK: True,
    Outcome.PROVIDER_FAULT: True,
    Outcome.OUR_FAULT: False,
    Outcome.UNKNOWN: False,
}


def test_each_outcome_says_whether_another_channel_may_take_it() -> None:
    assert {outcome: outcome in FAILOVER_OUTCOMES for outcome in Outcome} == MOVES


@pytest.mark.parametrize(
    ("one", "other", "alike", "fits"),
    [
        ("${name}您好，${code}", "{1}您好，{2}", True, True),
        ("${name}您好", "${Name}您好", True, True),
        ("${name}您好", "${name}，您好", False, True),
        ("${name}您好", "${who}您好", True, False),
        ("${name}您好", "您好", False, False),
        ("${a}和${b}", "${b}和${a}", True, False),
    ],
)
def test_counterparts_say_the_same_and_take_the_same_values(one: str, other: str, alike: bool, fits: bool) -> None:
    assert (neutral(one) == neutral(other), fit(variables(one), variables(other))) == (alike, fits)


def test_the_rest_of_a_run_whose_channel_is_down_leaves_through_the_second(app: Flask, both: TwoChannels) -> None:
    # given a channel that takes two messages and is then down for longer than the patience
    both.first.script = after(2, DOWN)
    both.patience(app)
    # when the second channel has its turn
    work(app, both.clock)
    # then everybody has one text, and the record says what, why and how many
    assert (both.whole().accepted, both.whole().planned) == (6, 6)
    assert set(both.texts().values()) == {1}
    (there,) = both.moved()
    assert (there.routed, there.routed_by, there.planned, there.repeats) == ("unreachable", "", 4, both.run_id)
    assert recount(both.run_id) == {"accepted": 2, "cancelled": 4}
    assert set(both.second.texts.values()) == {"【青禾】王伟您好"}
    assert (the_run(both.run_id).verdict, there.verdict, status(both.campaign)) == ("sent", "sent", Status.SENT)
    assert (the_run(both.run_id).parts, there.parts) == (2, 4)
    assert [(run.channel_id, run.snapshot.price) for run in (the_run(both.run_id), there)] == [
        (one, price) for one, price in zip(both.ids, (Decimal("0.05"), Decimal("0.08")), strict=True)
    ]


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (Throttled("429", retry_after=400), "throttled"),
        (AccountError("401", outcome=Outcome.CREDENTIALS), "credentials"),
        (AccountError("balance", outcome=Outcome.BALANCE), "balance"),
    ],
)
def test_other_troubles_of_the_channel_move_it_too(
    app: Flask, both: TwoChannels, trouble: ChannelError, why: str
) -> None:
    both.first.script = after(0, trouble)
    both.patience(app)
    work(app, both.clock)
    assert [run.routed for run in both.moved()] == [why]
    assert (both.whole().accepted, the_run(both.run_id).verdict, status(both.campaign)) == (6, "moved", Status.SENT)


def test_within_the_patience_nothing_moves_and_a_channel_that_answers_again_keeps_its_run(
    app: Flask, both: TwoChannels
) -> None:
    both.first.script = after(0, DOWN)
    for _ in range(3):
        work(app, both.clock)
        both.clock.forward(seconds=30)
        both.swept()
    both.first.script = None
    both.clock.forward(seconds=300)
    work(app, both.clock)
    both.swept()
    assert (both.moved(), both.first.sent.total(), both.second.sent.total()) == ([], 6, 0)


def test_only_refusals_that_lie_with_the_channel_move_when_the_run_ends(app: Flask, both: TwoChannels) -> None:
    # given one answer of each sort
    answers: list[list[SubmitResult] | ChannelError] = [
        [SubmitResult(False, outcome=Outcome.BAD_NUMBER)],
        [SubmitResult(False, outcome=Outcome.PROVIDER_FAULT)],
        [SubmitResult(False, outcome=Outcome.CONTENT_REFUSED)],
        OutcomeUnknown("reset"),
        [SubmitResult(False, outcome=Outcome.QUOTA)],
        [SubmitResult(True, "p1")],
    ]
    script = iter(answers)
    both.first.script = lambda _submission: next(script)
    work(app, both.clock)
    work(app, both.clock)
    # then two of them left through the second channel; what is unconfirmed stays
    (there,) = both.moved()
    assert (there.routed, there.planned, both.second.sent.total()) == ("refused", 2, 2)
    whole = both.whole()
    assert (whole.accepted, whole.refused, whole.unconfirmed, whole.planned) == (3, 2, 1, 6)
    assert status(both.campaign) == Status.SENT


def test_a_channel_that_refuses_most_loses_the_rest(
    app: Flask, both: TwoChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given so many refusals that only the last message is left, in a batch of its own
    monkeypatch.setattr(snapshot, "SMALL_BATCH", 1)
    monkeypatch.setattr(snapshot, "LARGE_BATCH", 1)
    opening.open_run(both.run_id, both.clock.now)
    refusals = [MessageResult(seq, message.Status.REFUSED, 1, Outcome.QUOTA) for seq in range(1, 6)]
    for answer in refusals:
        batch = claimed(both.campaign, both.clock, "one")
        with writing() as session:
            results.write_back(session, [results.prepare_results(batch, [answer])], 0)
    # when the setting asks for more refusals, and then for as many
    both.swept()
    before = both.moved()
    fewer = replace(settings(), ROUTE_AFTER_REFUSALS=5)
    monkeypatch.setattr(failover, "settings", lambda: fewer)
    both.swept()
    # then
    assert (before, [(run.routed, run.planned) for run in both.moved()]) == ([], [("refused", 6)])


def test_what_the_second_channel_cannot_send_comes_not_back_by_itself(app: Flask, both: TwoChannels) -> None:
    both.first.script = both.second.script = after(0, DOWN)
    both.patience(app)
    for _ in range(3):
        both.clock.forward(seconds=600)
        work(app, both.clock)
        both.swept()
    (there,) = both.moved()
    assert (there.state, there.hold_reason) == (RunState.HELD, "unreachable")
    # and a person may take it back
    both.first.script = None
    back = failover.move(there.id, OPERATOR, both.clock.now)
    work(app, both.clock)
    both.swept()
    assert (the_run(back).routed, the_run(back).routed_by) == ("person", "ops")
    assert (both.whole().accepted, both.first.sent.total(), status(both.campaign)) == (6, 6, Status.SENT)
    assert set(both.first.texts.values()) == {"【青禾商城】王伟您好"}


def test_a_persons_word_keeps_the_automation_away_until_it_is_taken_back(app: Flask, both: TwoChannels) -> None:
    both.first.script = after(0, DOWN)
    work(app, both.clock)
    failover.pin(both.run_id, OPERATOR, both.clock.now)
    both.patience(app)
    before = both.moved()
    failover.unpin(both.run_id, OPERATOR, both.clock.now)
    both.swept()
    assert (before, len(both.moved())) == ([], 1)


def test_a_person_moves_a_paused_run_at_once(app: Flask, both: TwoChannels) -> None:
    opening.open_run(both.run_id, both.clock.now)
    with pytest.raises(Conflict):
        failover.move(both.run_id, OPERATOR, both.clock.now)
    actions.pause(both.run_id, OPERATOR, both.clock.now)
    both.patience(app)
    assert both.moved() == []
    made = failover.move(both.run_id, OPERATOR, both.clock.now)
    work(app, both.clock)
    both.swept()
    assert (the_run(made).routed_by, both.second.sent.total(), status(both.campaign)) == ("ops", 6, Status.SENT)
    with pytest.raises(Conflict):
        failover.move(both.run_id, OPERATOR, both.clock.now)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"audit": "refused"}, "template_withdrawn"),
        ({"text": "{1}再见"}, "template_changed"),
        ({"purpose": "marketing"}, "template_changed"),
    ],
)
def test_a_counterpart_that_is_not_what_was_confirmed_takes_nothing_and_the_run_says_why(
    app: Flask, both: TwoChannels, change: dict[str, Any], why: str
) -> None:
    with writing() as session:
        session.execute(sa.update(SmsTemplate).where(SmsTemplate.id == both.there.id).values(**change))
    both.first.script = after(0, DOWN)
    both.patience(app)
    run = the_run(both.run_id)
    assert (both.moved(), run.pinned, run.state) == ([], why, RunState.HELD)
    with pytest.raises(Refusal):
        failover.move(both.run_id, OPERATOR, both.clock.now)
    # once it is mended the automation goes on
    with writing() as session:
        good = {"audit": "approved", "text": "{1}您好", "purpose": "notification"}
        session.execute(sa.update(SmsTemplate).where(SmsTemplate.id == both.there.id).values(**good))
    both.swept()
    assert (len(both.moved()), the_run(both.run_id).pinned) == (1, "")


def test_a_campaign_without_a_second_channel_waits(app: Flask, both: TwoChannels) -> None:
    with writing() as session:
        session.execute(sa.update(Campaign).values(second_channel_id=None, second_template_id=None))
    both.first.script = after(0, DOWN)
    both.patience(app)
    assert (both.moved(), the_run(both.run_id).hold_reason) == ([], "unreachable")


def test_a_batch_in_a_dead_workers_hands_stays_behind_unconfirmed(app: Flask, both: TwoChannels) -> None:
    # given a worker that died with the only batch, and another that found the channel down
    opening.open_run(both.run_id, both.clock.now)
    with writing() as session:
        session.execute(sa.update(runs.Batch).values(lo=4))
        session.execute(
            sa.insert(runs.Batch), [{"run_id": both.run_id, "no": 2, "lo": 1, "hi": 3, "state": 0, "attempts": 0}]
        )
    claimed(both.campaign, both.clock, "dead")
    both.first.script = after(0, DOWN)
    both.patience(app)
    work(app, both.clock)
    both.swept()
    whole = both.whole()
    assert (whole.accepted, whole.unconfirmed, set(both.texts().values())) == (3, 3, {1})


def test_of_two_sweeps_at_once_one_moves_it(app: Flask, both: TwoChannels) -> None:
    both.first.script = after(0, DOWN)
    both.patience(app)
    assert failover.look(both.moved()[0].id, both.clock.now) is None
    with pytest.raises(Conflict):
        failover.look(both.run_id, both.clock.now)


def test_the_switch_is_all_or_nothing(app: Flask, both: TwoChannels, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a sweep that is killed after the messages were taken back
    def killed(*_given: Any) -> int:
        raise KeyboardInterrupt

    both.first.script = after(2, DOWN)
    work(app, both.clock)
    both.clock.forward(seconds=301)
    work(app, both.clock)
    with monkeypatch.context() as patch:
        patch.setattr("smsapp.store.runs.failover.move_messages", killed)
        with pytest.raises(KeyboardInterrupt):
            sweeping.sweep(both.clock.now)
    assert (both.moved(), recount(both.run_id)) == ([], {"accepted": 2, "queued": 4})
    # when the next one comes
    both.swept()
    work(app, both.clock)
    assert (both.whole().accepted, set(both.texts().values())) == (6, {1})


def elsewhere(both: TwoChannels, *numbers: str, countries: list[str], classes: list[str] | None = None) -> None:
    """Give the first people these numbers, and the second channel these countries and classes."""
    with writing() as session:
        rows = session.scalars(sa.select(runs.Message).where(runs.Message.run_id == both.run_id)).all()
        for row, number in zip(rows, numbers, strict=False):
            row.phone = number
        classify(session, numbers)
        limits = {"countries": countries, "number_classes": classes or []}
        session.execute(sa.update(ChannelRow).where(ChannelRow.id == both.there.channel_id).values(**limits))


SATELLITE, HONG_KONG = "+8613491234567", "+85291234567"


@pytest.mark.parametrize(
    ("countries", "classes", "left"),
    [(["CN"], [], 2), ([], [], 1), (["CN", "HK"], ["satellite"], 0), (["CN"], ["satellite"], 1)],
)
def test_a_second_channel_takes_over_only_numbers_it_may_write_to(
    app: Flask, both: TwoChannels, countries: list[str], classes: list[str], left: int
) -> None:
    # given people with numbers of other kinds and countries, and a first channel that fails
    opening.open_run(both.run_id, both.clock.now)
    elsewhere(both, SATELLITE, HONG_KONG, countries=countries, classes=classes)
    both.first.script = after(0, DOWN)
    # when the second takes over
    both.patience(app)
    work(app, both.clock)
    # then it writes to those it may, and the others are counted with their reason
    assert len(both.moved()) == 1
    assert sum(both.second.numbers.values()) == 6 - left
    of_first = runs.Message.run_id == both.run_id, runs.Message.reason == "not_allowed_elsewhere"
    assert current_session().scalar(sa.select(sa.func.count()).select_from(runs.Message).where(*of_first)) == left
    whole = both.whole()
    assert (whole.accepted, whole.cancelled) == (6 - left, left)


def test_a_run_stays_if_the_second_channel_may_write_to_none_of_its_numbers(app: Flask, both: TwoChannels) -> None:
    opening.open_run(both.run_id, both.clock.now)
    elsewhere(both, countries=["HK"])
    both.first.script = after(0, DOWN)
    both.patience(app)
    run = the_run(both.run_id)
    assert (both.moved(), run.pinned, run.state) == ([], "numbers_not_allowed", RunState.HELD)
    with pytest.raises(Refusal, match="route_numbers_not_allowed"):
        failover.move(both.run_id, OPERATOR, both.clock.now)
    assert both.whole().queued == 6


def test_a_second_channel_that_asks_for_trusted_numbers_takes_over_none_of_others(
    app: Flask, both: TwoChannels
) -> None:
    second = both.there.channel_id
    with writing() as session:
        session.execute(sa.update(ChannelRow).where(ChannelRow.id == second).values(trusted_numbers=True))
    both.first.script = after(0, DOWN)
    both.patience(app)
    run = the_run(both.run_id)
    assert (both.moved(), run.pinned, run.state) == ([], "trusted_numbers", RunState.HELD)
    with pytest.raises(Refusal):
        failover.move(both.run_id, OPERATOR, both.clock.now)
    with writing() as session:
        session.execute(sa.update(ChannelRow).where(ChannelRow.id == second).values(trusted_numbers=False))
    both.swept()
    assert len(both.moved()) == 1
