"""From a confirmed campaign to numbers that add up, whatever the channel does and people want."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.types import SubmitRequest, SubmitResult
from smsapp.domain import message
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import CancelReason, HoldReason, RunState, RunVerdict
from smsapp.services.sending import actions, closing, opening, snapshot, sweeping
from smsapp.services.templates import approvals
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.runs import funnels, results
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import (
    OPERATOR,
    confirmed,
    funnel,
    in_hands,
    reasons,
    recount,
    status,
    the_run,
    work,
)
from tests.fakes import FakeChannel, FakeClock


def test_a_thousand_people_get_one_message_each_in_requests_the_provider_takes(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1050)
    sizes: list[int] = []
    provider.script = lambda submission: sizes.append(len(submission.messages))
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 1050
    assert max(provider.sent.values()) == 1
    assert len(provider.sent) == 1050
    assert max(sizes) == 100
    assert recount(run_id) == {"accepted": 1050}
    assert the_run(run_id).parts == 1050
    assert status(campaign) == Status.SENT


def test_refusals_are_kept_one_by_one_with_their_reason(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(10)

    def script(submission: SubmitRequest) -> list[SubmitResult]:
        return [SubmitResult(False, "", Outcome.BAD_NUMBER, "E1") if n % 2 else SubmitResult(True) for n in range(10)]

    provider.script = script
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).refused) == (5, 5)
    assert funnels.reasons(current_session(), [run_id]) == [("refused", Outcome.BAD_NUMBER, 5)]
    assert status(campaign) == Status.SENT


def test_a_run_of_which_nothing_was_accepted_has_failed_and_says_why(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.script = lambda submission: [SubmitResult(False, "", Outcome.CONTENT_REFUSED, "X")] * 2
    campaign, _run_id = confirmed(clock.now)
    work(app, clock)
    assert status(campaign) == Status.FAILED
    assert campaign.failure == Outcome.CONTENT_REFUSED


def test_nobody_to_write_to_is_a_run_that_ends_at_once(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contact("no number", None)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).target, funnel(run_id).planned) == (1, 0)
    assert status(campaign) == Status.SENT


def test_a_lost_answer_leaves_its_messages_unconfirmed_and_the_others_go_on(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(250)
    calls = iter([OutcomeUnknown("cut")])
    provider.script = lambda submission: next(calls, None)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (100, 150)
    work(app, clock)
    assert max(provider.sent.values()) == 1


def test_a_provider_that_answers_too_little_leaves_the_rest_unconfirmed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(5)
    provider.script = lambda submission: [SubmitResult(True)] * 3
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).unconfirmed) == (3, 2)


def test_an_adapter_that_fails_unexpectedly_leaves_its_messages_unconfirmed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(5)

    def script(submission: SubmitRequest) -> None:
        raise KeyError("bug")

    provider.script = script
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == 5


@pytest.mark.parametrize(
    ("trouble", "reason", "seconds"),
    [
        (NotSent("refused"), "unreachable", 2),
        (Throttled("429", retry_after=7), "throttled", 7),
        (Throttled("429"), "throttled", 1),
    ],
    ids=["unreachable", "throttled with a time", "throttled"],
)
def test_what_surely_did_not_leave_is_queued_again_and_sent_once_the_hold_is_over(
    app: Flask, provider: FakeChannel, clock: FakeClock, trouble: ChannelError, reason: str, seconds: int
) -> None:
    # given a provider that fails at first
    builders.contacts(30)
    calls = iter([trouble])
    provider.script = lambda submission: next(calls, None)
    campaign, run_id = confirmed(clock.now)
    # when
    work(app, clock)
    held = the_run(run_id)
    # then it waits, with nothing sent
    assert (held.state, held.hold_reason) == (RunState.HELD, reason)
    assert held.hold_until == clock.now + dt.timedelta(seconds=seconds)
    assert funnel(run_id).queued == 30
    work(app, clock)
    assert not provider.sent
    # and goes on by itself
    clock.forward(seconds=seconds)
    work(app, clock)
    assert funnel(run_id).accepted == 30
    assert max(provider.sent.values()) == 1
    assert status(campaign) == Status.SENT
    assert the_run(run_id).failures == 0


def test_each_failure_in_a_row_waits_longer(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    provider.script = lambda submission: NotSent("refused")
    _campaign, run_id = confirmed(clock.now)
    waits = []
    for _ in range(4):
        work(app, clock)
        until = the_run(run_id).hold_until
        assert until is not None
        waits.append((until - clock.now).total_seconds())
        clock.now = until
    assert waits == [2, 5, 15, 30]


def test_wrong_credentials_hold_the_run_until_a_person_mends_them(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(3)
    calls = iter([AccountError("401", outcome=Outcome.CREDENTIALS)])
    provider.script = lambda submission: next(calls, None)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, Outcome.CREDENTIALS)
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 3
    assert status(campaign) == Status.SENT


def test_a_run_nobody_mends_within_the_grace_fails_with_the_reason(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(3)
    provider.script = lambda submission: AccountError("balance", outcome=Outcome.BALANCE)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    clock.forward(minutes=119)
    sweeping.sweep(clock.now)
    assert status(campaign) == Status.SENDING
    clock.forward(minutes=2)
    sweeping.sweep(clock.now)
    assert status(campaign) == Status.FAILED
    assert campaign.failure == Outcome.BALANCE
    # and its messages say that the run failed, not that a person ended it
    run = the_run(run_id)
    assert (run.verdict, run.cancel_reason) == (RunVerdict.FAILED, CancelReason.RUN_FAILED)
    assert run.failure == HoldReason.BALANCE
    assert reasons(run_id) == {("cancelled", CancelReason.RUN_FAILED): 3}


def test_who_opts_out_after_the_freeze_is_not_written_to(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    people = builders.contacts(3)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    builders.kept(OptOut(phone=people[1].phones["$phone"], source="reply", at=clock.now))
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).cancelled) == (2, 1)
    assert people[1].phones["$phone"] not in provider.numbers


def test_the_audience_does_not_move_after_the_freeze(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    builders.contacts(5)
    opening.open_run(run_id, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 2


def test_marketing_waits_for_the_morning_and_goes_on_by_itself(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given 22:30 in Shanghai
    clock.now = dt.datetime(2026, 3, 2, 14, 30, tzinfo=dt.UTC)
    builders.contacts(2)
    channel = builders.channel(quiet_from="21:00", quiet_until="08:00")
    template = builders.template(channel.id, purpose="marketing")
    _campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    # when
    work(app, clock)
    # then
    assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, "quiet_hours")
    assert the_run(run_id).hold_until == dt.datetime(2026, 3, 3, 0, 0, tzinfo=dt.UTC)
    assert funnel(run_id).queued == 2
    # and in the morning
    clock.now = dt.datetime(2026, 3, 3, 0, 0, tzinfo=dt.UTC)
    sweeping.sweep(clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 2


def test_a_template_changed_after_the_confirmation_holds_the_run_until_a_person_agrees(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    template = current_session().get(SmsTemplate, campaign.template_id)
    assert template is not None
    template.text = "另一段文字"
    current_session().commit()
    work(app, clock)
    assert (the_run(run_id).hold_reason, len(provider.sent)) == ("template_changed", 0)
    with pytest.raises(Refusal):
        actions.resume(run_id, OPERATOR, clock.now)
    approvals.accept(run_id, template.mark, OPERATOR, clock.now)
    work(app, clock)
    assert list(provider.texts.values()) == ["【青禾商城】另一段文字"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda campaign: current_session().get(SmsTemplate, campaign.template_id), "template_withdrawn"),
        (lambda campaign: current_session().get(ChannelRow, campaign.channel_id), "channel_inactive"),
    ],
    ids=["template refused meanwhile", "channel switched off"],
)
def test_nothing_leaves_if_what_was_confirmed_is_no_longer_there(
    app: Flask, provider: FakeChannel, clock: FakeClock, change: Callable[[Campaign], Any], reason: str
) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    row = change(campaign)
    setattr(row, *(("audit", "refused") if reason == "template_withdrawn" else ("active", False)))
    current_session().commit()
    work(app, clock)
    assert (the_run(run_id).hold_reason, len(provider.sent)) == (reason, 0)
    # and it fails after the grace, for no message was ever made
    clock.forward(minutes=121)
    sweeping.sweep(clock.now)
    assert (status(campaign), campaign.failure) == (Status.FAILED, reason)


def test_runs_take_turns_so_a_small_one_does_not_wait_behind_a_huge_one(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1000)
    channel = builders.channel()
    provider.per_request = 1
    provider.max_concurrency = 1
    _huge, huge_run = confirmed(clock.now, channel_id=channel.id)
    _small, small_run = confirmed(clock.now, channel_id=channel.id)
    order: list[int] = []
    provider.script = lambda submission: order.append(int(submission.messages[0].ref.split("-")[0]))
    work(app, clock)
    # the second run's first message leaves after at most two batches of the first
    assert order.index(small_run) <= 2 * snapshot.SMALL_BATCH
    assert funnel(huge_run).accepted == funnel(small_run).accepted == 1000


def test_a_paused_run_sends_nothing_and_resumes_with_exactly_the_rest(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(500)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    actions.pause(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert not provider.sent
    assert the_run(run_id).hold_reason == "paused"
    clock.forward(days=3)
    sweeping.sweep(clock.now)
    assert status(campaign) == Status.SENDING
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert (len(provider.sent), max(provider.sent.values())) == (500, 1)


def test_an_ended_run_cancels_what_has_not_left(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(20)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    actions.end(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert reasons(run_id) == {("cancelled", CancelReason.ENDED): 20}
    assert (status(campaign), len(provider.sent)) == (Status.STOPPED, 0)


def test_what_is_in_flight_when_a_run_is_ended_is_waited_for(app: Flask, clock: FakeClock) -> None:
    # given a batch in a worker's hands
    campaign, run_id, batch = in_hands(1500, clock, "w1")
    # when
    actions.end(run_id, OPERATOR, clock.now)
    # then the rest is cancelled, and the batch's answers still count
    assert (funnel(run_id).in_flight, funnel(run_id).cancelled) == (1000, 500)
    assert status(campaign) == Status.SENDING
    answers = [results.MessageResult(seq, message.Status.ACCEPTED, 1) for seq, _phone, _params in batch.rows]
    with writing() as session:
        results.write_back(session, [results.prepare_results(batch, answers)], 0)
        closing.close(session, run_id, clock.now)
    assert (funnel(run_id).accepted, funnel(run_id).cancelled) == (1000, 500)
    assert status(campaign) == Status.STOPPED
