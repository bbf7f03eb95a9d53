"""From a confirmed campaign to numbers that add up, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.base import Answer, Misconfigured, News, Receipt, Submission, Throttled, Unclear, Unreachable
from smsapp.domain import message
from smsapp.domain.campaign import Action, Left, Status
from smsapp.domain.funnel import Funnel, broken_identities
from smsapp.domain.outcome import Outcome
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services import audience, lane, receipts, sending
from smsapp.services.trail import Actor
from smsapp.store import campaigns, ledger, runs
from smsapp.store.campaigns import Campaign
from smsapp.store.db import session, writing
from smsapp.store.people import Preference
from smsapp.store.replies import OptOut
from smsapp.store.runs import Batch, BatchState, Exclusion, Message, Run, RunState
from tests import builders
from tests.fakes import FakeChannel, FakeClock

OPERATOR = Actor("ops")


@pytest.fixture
def clock(now: dt.datetime) -> FakeClock:
    return FakeClock(now)


def confirmed(now: dt.datetime, **given: Any) -> tuple[Campaign, int]:
    """A campaign that is sending, with an open run for this moment."""
    campaign = builders.campaign(**given)
    template = session().get(builders.SmsTemplate, campaign.template_id)
    assert template is not None
    with writing() as current:
        campaign.confirmed_template = {"text": template.text, "signature": template.signature}
        campaigns.move(current, campaign.id, Action.LAUNCH)
        run_id = runs.add_run(current, campaign, now, now)
    assert run_id is not None
    return campaign, run_id


def work(app: Flask, clock: FakeClock) -> None:
    """Work one lane, as a worker would; this test's session then sees what it wrote."""
    lane.send(app, clock)
    session().commit()
    session().expire_all()


def funnel(run_id: int) -> Funnel:
    session().expire_all()
    found = runs.funnels(session(), [run_id])[run_id]
    assert broken_identities(found) == []
    return found


def recount(run_id: int) -> dict[str, int]:
    """Return the states of the rows themselves, for comparison with the tallies."""
    rows = session().execute(
        sa.select(Message.status, sa.func.count()).where(Message.run_id == run_id).group_by(Message.status)
    )
    return {ledger.name(message.Status(status)): n for status, n in rows}


def status(campaign: Campaign) -> str:
    session().refresh(campaign)
    return campaign.status


def the_run(run_id: int) -> Run:
    found = session().get(Run, run_id, populate_existing=True)
    assert found is not None
    return found


# -- the audience -----------------------------------------------------------------------------------------------------


def test_everybody_is_written_to_or_left_out_for_one_reason(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given people of every kind
    builders.contact("fine", "+8613800000001", properties={"name": "小明"})
    builders.contact("same number", "+8613800000001", properties={"name": "小红"})
    builders.contact("no number", None, properties={"name": "小刚"})
    builders.contact("invalid", "", properties={"name": "小丽"})
    builders.contact("opted out", "+8613800000002", properties={"name": "小芳"})
    builders.contact("nameless", "+8613800000003")
    builders.kept(OptOut(phone="+8613800000002", source="person", at=clock.now))
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": None}}
    campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    # when it is counted before, and sent
    before = audience.counts(campaign.segment_id or 0, channel.id, template.id, mapping, now=clock.now)
    work(app, clock)
    # then
    result = funnel(run_id)
    assert (result.target, result.effective, result.planned, result.accepted) == (6, 4, 1, 1)
    assert result.excluded == {
        Left.NO_NUMBER: 1,
        Left.INVALID_NUMBER: 1,
        Left.OPTED_OUT: 1,
        Left.MISSING_VALUE: 1,
        Left.DUPLICATE_NUMBER: 1,
    }
    assert (before.target, before.effective, before.planned) == (6, 4, 1)
    assert dict(before.left_out) == dict(result.excluded)
    assert provider.texts == {"+8613800000001": "【青禾商城】小明您好"}
    assert status(campaign) == Status.SENT


def test_a_number_is_not_a_duplicate_of_somebody_who_gets_nothing(app: Flask, clock: FakeClock) -> None:
    builders.contact("nameless", "+8613800000001")
    builders.contact("named", "+8613800000001", properties={"name": "小明"})
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": ""}}
    found = audience.counts(builders.segment().id, channel.id, template.id, mapping, now=clock.now)
    assert (found.planned, found.left_out) == (1, {Left.MISSING_VALUE: 1})


def test_the_frequency_cap_counts_what_other_campaigns_sent(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a cap of one marketing message a day, and a campaign that has been sent
    builders.contacts(3)
    builders.kept(Preference(name=audience.CAPS, value={"enabled": True, "per_day": 1, "per_week": 3}))
    channel = builders.channel()
    template = builders.template(channel.id, purpose="marketing")
    _first, first_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    # when another one follows on the same day, and one on the next day
    clock.forward(hours=1)
    _second, second_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    clock.forward(days=1)
    _third, third_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    # then
    assert funnel(first_run).accepted == 3
    assert funnel(second_run).excluded == {Left.FREQUENCY_CAP: 3}
    assert funnel(third_run).accepted == 3


# -- sending ----------------------------------------------------------------------------------------------------------


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

    def script(submission: Submission) -> list[Answer]:
        return [Answer(False, "", Outcome.BAD_NUMBER, "E1") if n % 2 else Answer(True) for n in range(10)]

    provider.script = script
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).refused) == (5, 5)
    assert runs.reasons(session(), [run_id]) == [("refused", Outcome.BAD_NUMBER, 5)]
    assert status(campaign) == Status.SENT


def test_a_run_of_which_nothing_was_accepted_has_failed_and_says_why(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.script = lambda submission: [Answer(False, "", Outcome.CONTENT_REFUSED, "X")] * 2
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


def test_a_lost_answer_leaves_its_messages_in_doubt_and_the_others_go_on(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(250)
    calls = iter([Unclear("cut")])
    provider.script = lambda submission: next(calls, None)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (100, 150)
    work(app, clock)
    assert max(provider.sent.values()) == 1


def test_a_provider_that_answers_too_little_leaves_the_rest_in_doubt(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(5)
    provider.script = lambda submission: [Answer(True)] * 3
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).unconfirmed) == (3, 2)


def test_an_adapter_that_fails_unexpectedly_leaves_its_messages_in_doubt(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(5)

    def script(submission: Submission) -> None:
        raise KeyError("bug")

    provider.script = script
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == 5


@pytest.mark.parametrize(
    ("trouble", "reason", "seconds"),
    [
        (Unreachable("refused"), "unreachable", 2),
        (Throttled("429", retry_after=7), "throttled", 7),
        (Throttled("429"), "throttled", 2),
    ],
    ids=["unreachable", "throttled with a time", "throttled"],
)
def test_what_surely_did_not_leave_is_queued_again_and_sent_once_the_hold_is_over(
    app: Flask, provider: FakeChannel, clock: FakeClock, trouble: Exception, reason: str, seconds: int
) -> None:
    # given a provider that fails at first
    builders.contacts(30)
    calls = iter([trouble])
    provider.script = lambda submission: next(calls, None)  # type: ignore[assignment, return-value]
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
    provider.script = lambda submission: Unreachable("refused")
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
    calls = iter([Misconfigured("401", outcome=Outcome.CREDENTIALS)])
    provider.script = lambda submission: next(calls, None)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, Outcome.CREDENTIALS)
    sending.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 3
    assert status(campaign) == Status.SENT


def test_a_run_nobody_mends_within_the_grace_fails_with_the_reason(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(3)
    provider.script = lambda submission: Misconfigured("balance", outcome=Outcome.BALANCE)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    clock.forward(minutes=119)
    sending.sweep(clock.now)
    assert status(campaign) == Status.SENDING
    clock.forward(minutes=2)
    sending.sweep(clock.now)
    assert status(campaign) == Status.FAILED
    assert campaign.failure == Outcome.BALANCE
    assert funnel(run_id).cancelled == 3


def test_who_opts_out_after_the_freeze_is_not_written_to(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    people = builders.contacts(3)
    _campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    builders.kept(OptOut(phone=people[1].phones["$phone"], source="reply", at=clock.now))
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).cancelled) == (2, 1)
    assert people[1].phones["$phone"] not in provider.numbers


def test_the_audience_does_not_move_after_the_freeze(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2)
    _campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    builders.contacts(5)
    sending.open_run(run_id, clock.now)
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
    sending.sweep(clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 2


def test_a_template_changed_after_the_confirmation_holds_the_run_until_a_person_agrees(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    template = session().get(builders.SmsTemplate, campaign.template_id)
    assert template is not None
    template.text = "另一段文字"
    session().commit()
    work(app, clock)
    assert (the_run(run_id).hold_reason, len(provider.sent)) == ("template_changed", 0)
    sending.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert list(provider.texts.values()) == ["【青禾商城】另一段文字"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda campaign: session().get(builders.SmsTemplate, campaign.template_id), "template_withdrawn"),
        (lambda campaign: session().get(builders.ChannelRow, campaign.channel_id), "channel_inactive"),
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
    session().commit()
    work(app, clock)
    assert (the_run(run_id).hold_reason, len(provider.sent)) == (reason, 0)
    # and it fails after the grace, for no message was ever made
    clock.forward(minutes=121)
    sending.sweep(clock.now)
    assert (status(campaign), campaign.failure) == (Status.FAILED, reason)


# -- several runs -----------------------------------------------------------------------------------------------------


def test_runs_take_turns_so_a_small_one_does_not_wait_behind_a_huge_one(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1000)
    channel = builders.channel()
    provider.per_request = 1
    provider.in_flight = 1
    _huge, huge_run = confirmed(clock.now, channel_id=channel.id)
    _small, small_run = confirmed(clock.now, channel_id=channel.id)
    order: list[int] = []
    provider.script = lambda submission: order.append(int(submission.messages[0].ref.split("-")[0]))
    work(app, clock)
    # the second run's first message leaves after at most two batches of the first
    assert order.index(small_run) <= 2 * sending.SMALL_BATCH
    assert funnel(huge_run).accepted == funnel(small_run).accepted == 1000


# -- people -----------------------------------------------------------------------------------------------------------


def test_a_paused_run_sends_nothing_and_resumes_with_exactly_the_rest(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(500)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    sending.pause(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert not provider.sent
    assert the_run(run_id).hold_reason == "paused"
    clock.forward(days=3)
    sending.sweep(clock.now)
    assert status(campaign) == Status.SENDING
    sending.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert (len(provider.sent), max(provider.sent.values())) == (500, 1)


def test_an_ended_run_cancels_what_has_not_left(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(20)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    sending.end(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert funnel(run_id).cancelled == 20
    assert (status(campaign), len(provider.sent)) == (Status.STOPPED, 0)


def test_what_is_in_flight_when_a_run_is_ended_is_waited_for(app: Flask, clock: FakeClock) -> None:
    # given a batch in a worker's hands
    builders.contacts(1500)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    with writing() as current:
        batch = ledger.claim_batch(current, [campaign.channel_id or 0], 0, "w1", clock.now, dt.timedelta(seconds=60))
    assert batch is not None
    # when
    sending.end(run_id, OPERATOR, clock.now)
    # then the rest is cancelled, and the batch's answers still count
    assert (funnel(run_id).handed, funnel(run_id).cancelled) == (1000, 500)
    assert status(campaign) == Status.SENDING
    answers = [ledger.Answered(seq, message.Status.ACCEPTED, 1) for seq, _phone, _params in batch.rows]
    with writing() as current:
        ledger.write_back(current, batch, answers, 0)
        sending.settle(current, run_id, clock.now)
    assert (funnel(run_id).accepted, funnel(run_id).cancelled) == (1000, 500)
    assert status(campaign) == Status.STOPPED


# -- dying in the middle ----------------------------------------------------------------------------------------------


def test_a_worker_that_never_comes_back_leaves_doubt_not_doubles(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a worker that died with a batch in its hands
    builders.contacts(1200)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    with writing() as current:
        dead = ledger.claim_batch(current, [campaign.channel_id or 0], 0, "dead", clock.now, dt.timedelta(seconds=60))
    assert dead is not None
    # when the others go on, and the lease runs out
    work(app, clock)
    assert (funnel(run_id).handed, funnel(run_id).accepted) == (1000, 200)
    clock.forward(seconds=61)
    sending.sweep(clock.now)
    # then nobody was written to twice and the campaign is over
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (1000, 200)
    assert recount(run_id) == {"unconfirmed": 1000, "accepted": 200}
    assert status(campaign) == Status.SENT
    # and if it was only slow, its answers settle the doubt
    answers = [ledger.Answered(seq, message.Status.ACCEPTED, 1) for seq, _phone, _params in dead.rows]
    with writing() as current:
        assert not ledger.write_back(current, dead, answers, 0)
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (0, 1200)


def test_a_lease_is_extended_while_its_worker_lives(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    with writing() as current:
        ledger.claim_batch(current, [campaign.channel_id or 0], 0, "w1", clock.now, dt.timedelta(seconds=60))
        ledger.extend_leases(current, "w1", clock.now + dt.timedelta(seconds=600))
    clock.forward(seconds=61)
    sending.sweep(clock.now)
    assert funnel(run_id).handed == 1


def test_a_batch_is_claimed_by_one_worker_only(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    minute = dt.timedelta(seconds=60)
    with writing() as current:
        assert ledger.claim_batch(current, [campaign.channel_id or 0], 0, "w1", clock.now, minute)
        assert ledger.claim_batch(current, [campaign.channel_id or 0], 0, "w2", clock.now, minute) is None


# -- schedules --------------------------------------------------------------------------------------------------------


def waiting(now: dt.datetime, schedule: Schedule, due: dt.datetime) -> Campaign:
    campaign = builders.campaign(schedule=schedule.as_json(), recurring=schedule.recurring)
    template = session().get(builders.SmsTemplate, campaign.template_id)
    assert template is not None
    campaign.confirmed_template = {"text": template.text, "signature": template.signature}
    campaign.status = Status.WAITING
    campaign.next_due_at = due
    session().commit()
    return campaign


def daily(now: dt.datetime, **given: Any) -> Schedule:
    values: dict[str, Any] = {"kind": Kind.DAILY, "zone": "Asia/Shanghai", "time": dt.time(10), "start": now.date()}
    return Schedule(**(values | given))


def test_a_recurring_campaign_rests_between_its_runs_and_ends_after_its_last(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    schedule = daily(clock.now, end=clock.now.date() + dt.timedelta(days=1))
    campaign = waiting(clock.now, schedule, clock.now)
    # when its first slot comes
    first = sending.start(campaign.id, clock.now)
    assert sending.start(campaign.id, clock.now) is None
    work(app, clock)
    # then it waits for the second
    assert status(campaign) == Status.WAITING
    assert campaign.next_due_at == clock.now + dt.timedelta(days=1)
    # and after that there is none
    clock.forward(days=1)
    second = sending.start(campaign.id, clock.now)
    work(app, clock)
    assert first != second
    assert (status(campaign), campaign.next_due_at) == (Status.SENT, None)
    assert max(provider.numbers.values()) == 2
    assert runs.campaign_funnels(session(), [campaign.id])[campaign.id].accepted == 4


def test_a_campaign_is_not_started_before_its_time(app: Flask, clock: FakeClock) -> None:
    campaign = waiting(clock.now, daily(clock.now), clock.now + dt.timedelta(minutes=1))
    assert sending.start(campaign.id, clock.now) is None
    assert status(campaign) == Status.WAITING


def test_a_slot_within_the_grace_is_sent_late_one_beyond_it_is_recorded_as_missed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    first_slot = clock.now
    campaign = waiting(clock.now, daily(clock.now), first_slot)
    # given the system was down for two days and an hour
    clock.forward(days=2, hours=1)
    run_id = sending.start(campaign.id, clock.now)
    work(app, clock)
    assert run_id is not None
    found = [(run.slot, run.state) for run in runs.of_campaign(session(), campaign.id)]
    day = dt.timedelta(days=1)
    assert sorted(found) == [
        (first_slot, RunState.MISSED),
        (first_slot + day, RunState.MISSED),
        (first_slot + 2 * day, RunState.DONE),
    ]
    assert campaign_due(campaign) == first_slot + 3 * day


def campaign_due(campaign: Campaign) -> dt.datetime | None:
    session().refresh(campaign)
    return campaign.next_due_at


def test_a_missed_single_send_has_failed_and_says_so(app: Flask, clock: FakeClock) -> None:
    once = Schedule(Kind.ONCE, "Asia/Shanghai", dt.time(10), clock.now.date())
    campaign = waiting(clock.now, once, clock.now)
    clock.forward(hours=3)
    sending.sweep(clock.now)
    assert (status(campaign), campaign.failure) == (Status.FAILED, "missed")
    assert [run.verdict for run in runs.of_campaign(session(), campaign.id)] == ["missed"]


def test_a_slot_that_comes_while_the_last_run_goes_on_waits_its_turn(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    campaign = waiting(clock.now, daily(clock.now), clock.now)
    run_id = sending.start(campaign.id, clock.now)
    assert run_id is not None
    sending.open_run(run_id, clock.now)
    sending.pause(run_id, OPERATOR, clock.now)
    clock.forward(days=1)
    sending.sweep(clock.now)
    assert len(runs.of_campaign(session(), campaign.id)) == 1
    sending.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    sending.sweep(clock.now)
    work(app, clock)
    assert [run.verdict for run in runs.of_campaign(session(), campaign.id)] == ["sent", "sent"]


# -- receipts ---------------------------------------------------------------------------------------------------------


def refs(run_id: int) -> list[str]:
    rows = session().scalars(sa.select(Message.seq).where(Message.run_id == run_id).order_by(Message.seq))
    return [f"{run_id}-{seq}" for seq in rows]


def apply(clock: FakeClock, *news: Receipt) -> None:
    with writing() as current:
        receipts.apply_receipts(current, [(1, one) for one in news], clock.now)


def test_receipts_move_messages_forward_and_never_back(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(4)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    a, b, c, _d = refs(run_id)
    apply(
        clock,
        Receipt(News.DELIVERED, a),
        Receipt(News.DELIVERED, a),
        Receipt(News.UNDELIVERED, b, outcome=Outcome.SWITCHED_OFF, code="MK:1"),
        Receipt(News.UNDELIVERED, a, outcome=Outcome.EXPIRED),
        Receipt(News.UNDELIVERED, c, outcome=Outcome.EXPIRED),
        Receipt(News.DELIVERED, c),
    )
    apply(clock, Receipt(News.ACCEPTED, a), Receipt(News.DELIVERED, c))
    result = funnel(run_id)
    assert (result.accepted, result.delivered, result.undelivered, result.awaiting) == (4, 2, 1, 1)
    assert runs.reasons(session(), [run_id]) == [("undelivered", Outcome.SWITCHED_OFF, 1)]
    assert recount(run_id) == {"accepted": 1, "delivered": 2, "undelivered": 1}


def test_a_receipt_quicker_than_the_answer_counts_once(app: Flask, clock: FakeClock) -> None:
    # given a batch whose call has not come back yet
    builders.contacts(3)
    campaign, run_id = confirmed(clock.now)
    sending.open_run(run_id, clock.now)
    with writing() as current:
        batch = ledger.claim_batch(current, [campaign.channel_id or 0], 0, "w1", clock.now, dt.timedelta(seconds=60))
    assert batch is not None
    # when the carrier is quicker
    apply(clock, Receipt(News.DELIVERED, refs(run_id)[0]))
    assert (funnel(run_id).handed, funnel(run_id).delivered) == (2, 1)
    answers = [ledger.Answered(seq, message.Status.ACCEPTED, 2, "", "", f"p{seq}") for seq, _p, _v in batch.rows]
    with writing() as current:
        ledger.write_back(current, batch, answers, 99)
        sending.settle(current, run_id, clock.now)
    # then
    assert (funnel(run_id).accepted, funnel(run_id).delivered, funnel(run_id).awaiting) == (3, 1, 2)
    assert recount(run_id) == {"accepted": 2, "delivered": 1}
    assert the_run(run_id).parts == 6
    early = session().execute(sa.select(Message.provider_ref, Message.parts).where(Message.status == 8)).one()
    assert tuple(early) == (f"p{batch.rows[0][0]}", 2)


def test_a_late_receipt_settles_a_doubt(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    provider.script = lambda submission: Unclear("cut")
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    apply(clock, Receipt(News.DELIVERED, refs(run_id)[0]))
    assert (funnel(run_id).unconfirmed, funnel(run_id).delivered) == (0, 1)


def test_a_receipt_for_nothing_of_ours_is_kept_aside(app: Flask, clock: FakeClock) -> None:
    channel = builders.channel()
    with writing() as current:
        for stray in ("999999-1", "nonsense", ""):
            receipts.apply_receipts(current, [(channel.id, Receipt(News.DELIVERED, stray))], clock.now)
    kept = session().scalars(sa.select(receipts.receipts.StrayReceipt.ref)).all()
    assert sorted(kept) == ["", "999999-1", "nonsense"]


def test_callbacks_are_stored_first_and_applied_once(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    provider.callbacks[b"good"] = [Receipt(News.DELIVERED, refs(run_id)[0])]
    channel_id = campaign.channel_id or 0
    for body in (b"good", b"rubbish", b"good"):
        receipts.store(channel_id, receipts.Callback("POST", "", {}, body), clock.now)
    assert receipts.unread_count() == 3
    assert receipts.apply_news(clock.now) == 3
    assert (funnel(run_id).delivered, receipts.unread_count()) == (1, 0)


def test_receipts_that_name_only_the_providers_id_find_their_message(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.receipts_by_provider_ref = True
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    with writing() as current:
        news = [(campaign.channel_id or 0, Receipt(News.DELIVERED, provider_ref=f"p{ref}")) for ref in refs(run_id)]
        receipts.apply_receipts(current, news, clock.now)
    assert funnel(run_id).delivered == 2


def test_after_three_days_a_missing_receipt_is_called_that(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    apply(clock, Receipt(News.DELIVERED, refs(run_id)[0]))
    clock.forward(hours=71)
    sending.sweep(clock.now)
    assert funnel(run_id).awaiting == 1
    clock.forward(hours=2)
    sending.sweep(clock.now)
    assert (funnel(run_id).no_receipt, funnel(run_id).accepted) == (1, 2)
    # and a receipt later than that is still welcome
    apply(clock, Receipt(News.DELIVERED, refs(run_id)[1]))
    assert (funnel(run_id).no_receipt, funnel(run_id).delivered) == (0, 2)


def test_exclusions_name_the_people_behind_the_numbers(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    nobody = builders.contact("no number", None)
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    rows = session().execute(sa.select(Exclusion.contact_id, Exclusion.reason).where(Exclusion.run_id == run_id)).all()
    assert [tuple(row) for row in rows] == [(nobody.id, Left.NO_NUMBER)]


def test_batches_end_done(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(3)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert session().scalars(sa.select(Batch.state).where(Batch.run_id == run_id)).all() == [BatchState.DONE]
