"""Single messages: stored before they are answered, planned in bulk, once each, by the rules of every campaign."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, current_app

from smsapp.domain.api_key import RealChannelRefused
from smsapp.domain.approval import ApprovalRule
from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.domain.campaign import Status
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.single_message import COMMAND, TAKES_FOR
from smsapp.domain.tags import Item
from smsapp.services.campaigns import archiving, campaigns, single_messages
from smsapp.services.campaigns.single_messages import Caller, OtherRequest
from smsapp.services.reports import verify
from smsapp.services.sending import actions, approval_rule, budgets, retries, sender, sweeping
from smsapp.services.sending import single_messages as planning
from smsapp.services.sending.budgets import WantedBudget
from smsapp.store.apps import message_requests
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.runs import api_messages, ledger_mark, partitions
from smsapp.store.runs.runs import Message
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, work
from tests.fakes import FakeChannel, FakeClock
from tests.single_messages import KEY, all_runs, send, told


@pytest.fixture(autouse=True)
def fresh(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that was just started, and senders that do not linger."""
    current_app.extensions.pop(single_messages.EXTENSION, None)
    monkeypatch.setattr(sender, "LINGER_SECONDS", 0)


@pytest.fixture
def template(app: Flask) -> SmsTemplate:
    return builders.template(builders.channel().id, text="验证码${code}，请勿告诉他人。")


def test_it_is_stored_planned_and_sent_with_its_own_values(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    people = builders.contacts(3)
    ids = [send(template, who, f"00{n}", clock.now) for n, who in enumerate(people)]
    assert [told(id_).state for id_ in ids] == ["waiting"] * 3
    work(app, clock)
    # Then three people are one run of one campaign, and each got their own text
    (run,) = all_runs()
    assert (run.planned, sorted(provider.texts.values())) == (
        3,
        [f"【青禾商城】验证码00{n}，请勿告诉他人。" for n in range(3)],
    )
    assert [(told(id_).state, told(id_).run_id) for id_ in ids] == [("accepted", run.id)] * 3
    # And who comes later is added to it
    later = send(template, builders.contact(phone=builders.phone(99_000_009)), "777", clock.now)
    work(app, clock)
    (run,) = all_runs()
    assert (run.planned, told(later).state, len(provider.sent)) == (4, "accepted", 4)
    assert run.finished_at is None
    # And once its hour is over it ends as every run does
    clock.forward(seconds=TAKES_FOR.total_seconds() + 1)
    sweeping.sweep(clock.now)
    (run,) = all_runs()
    campaign = campaigns.get(run.campaign_id)
    assert (run.state, campaign.status, campaign.api_key_id) == (RunState.DONE, Status.SENT, 7)
    assert [check.broken for check in verify.verify(run.campaign_id)] == [[]]
    # And the next one of the day goes on with the campaign
    next_one = send(template, people[0], "888", clock.now)
    work(app, clock)
    assert (told(next_one).state, told(next_one).campaign_id) == ("accepted", campaign.id)


def test_two_messages_to_one_number_both_leave(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    one, other = builders.contact(phone=builders.phone(99_000_001)), builders.contact(phone=builders.phone(99_000_001))
    ids = [send(template, who, str(n), clock.now) for n, who in enumerate([one, one, other, one])]
    work(app, clock)
    assert [told(id_).state for id_ in ids] == ["accepted"] * 4
    assert (len(all_runs()), len(provider.sent), provider.numbers[builders.phone(99_000_001)]) == (4, 4, 4)
    # A fifth to somebody else finds room in the first of these runs
    send(template, builders.contact(phone=builders.phone(99_000_002)), "5", clock.now)
    work(app, clock)
    assert [run.planned for run in all_runs()] == [2, 1, 1, 1]


def test_a_person_who_is_left_out_has_a_reason(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    fine, opted_out, none = (
        builders.contacts(1)[0],
        builders.contact(phone=builders.phone(99_000_003)),
        builders.contact(),
    )
    builders.kept(OptOut(phone=builders.phone(99_000_003), source="person", at=clock.now))
    ids = [send(template, who, "1", clock.now) for who in (fine, opted_out, none)]
    work(app, clock)
    again = send(template, opted_out, "2", clock.now)
    gone = send(template, builders.contact("gone", builders.phone(99_000_004)), "3", clock.now)
    with writing() as session:
        session.query(Contact).where(Contact.xwho == "gone").delete()
    work(app, clock)
    states = [(told(id_).state, told(id_).reason) for id_ in (*ids, again, gone)]
    assert states == [
        ("accepted", ""),
        ("excluded", "opted_out"),
        ("excluded", "no_number"),
        ("excluded", "opted_out"),
        ("excluded", "contact_gone"),
    ]
    assert sum(run.target for run in all_runs()) == 4
    assert len(provider.sent) == 1


def test_a_limit_of_the_day_holds_over_all_that_are_added(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    template = builders.template(builders.channel(number_limits=[["+86", 2]]).id)
    ids = []
    for _ in range(2):
        ids += [
            single_messages.send(who.xwho, template.id, {}, KEY, OPERATOR, clock.now).id for who in builders.contacts(2)
        ]
        work(app, clock)
    assert [told(id_).reason for id_ in ids] == ["", "", "number_limit", "number_limit"]
    assert len(provider.sent) == 2


def test_one_idempotency_key_is_one_message_for_a_day(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    (who,) = builders.contacts(1)
    once = Caller(7, idempotency_key="once-and-only-once", request=b"the same")
    first = send(template, who, "1", clock.now, once)
    taken = single_messages.send(who.xwho, template.id, {"code": "1"}, once, OPERATOR, clock.now)
    work(app, clock)
    assert (taken.id, taken.is_repeated, send(template, who, "1", clock.now, once)) == (first, True, first)
    # But it is another one with another key, or for another request
    other_key = Caller(8, idempotency_key=once.idempotency_key, request=once.request)
    assert send(template, who, "1", clock.now, other_key) != first
    with pytest.raises(OtherRequest):
        send(template, who, "2", clock.now, Caller(7, idempotency_key=once.idempotency_key, request=b"another"))
    work(app, clock)
    assert len(provider.sent) == 2
    # And a day later the key is free
    clock.forward(days=1, seconds=1)
    assert send(template, who, "1", clock.now, once) != first


def test_many_threads_with_one_key_are_one_message(app: Flask, clock: FakeClock, template: SmsTemplate) -> None:
    (who,) = builders.contacts(1)
    ids: list[int] = []

    def ask() -> None:
        with app.app_context():
            ids.append(send(template, who, "1", clock.now, Caller(7, idempotency_key="k" * 20, request=b"same")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len({*ids}), len(message_requests.waiting())) == (8, 1, 1)


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"purpose": "marketing"}, "single_marketing"),
        ({"audit": "pending"}, "template_not_approved"),
        ({"archived_at": builders.LONG_AGO}, "template_archived"),
        ({"text": "${code}${more}"}, "variable_unmapped"),
        ({"allowed": {"code": {"longest": 1}}}, "variable_value_too_long"),
    ],
)
def test_what_may_not_go_out_is_refused_at_once(
    app: Flask, clock: FakeClock, columns: dict[str, Any], code: str
) -> None:
    template = builders.template(builders.channel().id, **({"text": "验证码${code}"} | columns))
    (who,) = builders.contacts(1)
    with pytest.raises(Refusal) as refused:
        send(template, who, "123", clock.now)
    assert [problem.code for problem in refused.value.problems] == [code]
    assert not message_requests.is_waiting()


def test_strangers_and_real_channels_of_test_keys_are_refused(
    app: Flask, clock: FakeClock, template: SmsTemplate
) -> None:
    with pytest.raises(NotFound):
        single_messages.send("nobody", template.id, {"code": "1"}, KEY, OPERATOR, clock.now)
    with pytest.raises(NotFound):
        single_messages.state_of(1)
    real = builders.template(builders.channel(kind="smpp").id)
    with pytest.raises(RealChannelRefused):
        single_messages.send(builders.contacts(1)[0].xwho, real.id, {}, Caller(7, is_test=True), OPERATOR, clock.now)


def test_what_needs_a_second_person_even_for_one_is_refused(
    app: Flask, clock: FakeClock, template: SmsTemplate
) -> None:
    approval_rule.save(ApprovalRule(enabled=True, messages=2, amount=None, percent=10), OPERATOR, clock.now)
    people = builders.contacts(3)
    for who in people:  # one each, whatever they are together
        send(template, who, "1", clock.now)
    planning.plan(clock.now)
    current_app.extensions.pop(single_messages.EXTENSION)
    approval_rule.save(ApprovalRule(enabled=True, messages=1, amount=None, percent=10), OPERATOR, clock.now)
    with pytest.raises(Refusal, match="approval_missing"):
        send(template, people[0], "1", clock.now)


def test_a_budget_holds_what_is_beyond_it(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    wanted = WantedBudget(scope=BudgetScope.ALL, scope_id=0, unit=BudgetUnit.PARTS, currency="", most=Decimal(2))
    budgets.put(wanted, OPERATOR, clock.now)
    ids = []
    for who in builders.contacts(4):
        ids.append(send(template, who, "1", clock.now))
        work(app, clock)
    assert [(told(id_).state, told(id_).reason) for id_ in ids] == [
        ("accepted", ""),
        ("accepted", ""),
        ("waiting", "budget"),
        ("waiting", "budget"),
    ]
    # The two that were too many wait in one run; once there is money, both leave
    held = all_runs()[-1]
    assert (len(all_runs()), held.state, held.hold_reason) == (2, RunState.HELD, HoldReason.BUDGET)
    budgets.put(WantedBudget(**{**vars(wanted), "most": Decimal(9)}), OPERATOR, clock.now)
    actions.resume(held.id, OPERATOR, clock.now)
    work(app, clock)
    assert [told(id_).state for id_ in ids] == ["accepted"] * 4
    assert (budgets.bars(clock.now)[0].reserved + budgets.bars(clock.now)[0].spent) == 4


def test_a_run_that_ends_before_its_freeze_tells_those_who_waited(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    message_id = send(template, builders.contacts(1)[0], "1", clock.now)
    planning.plan(clock.now)
    with writing() as session:
        session.query(SmsTemplate).update({"audit": "rejected"})
    work(app, clock)
    (run,) = all_runs()
    assert (run.hold_reason, told(message_id).reason) == (HoldReason.TEMPLATE_WITHDRAWN, "template_withdrawn")
    actions.end(run.id, OPERATOR, clock.now)
    work(app, clock)
    assert (told(message_id).state, told(message_id).reason) == ("excluded", "run_ended")
    assert provider.sent == {}


def test_a_changed_template_begins_another_campaign(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    people = builders.contacts(2)
    send(template, people[0], "1", clock.now)
    work(app, clock)
    with writing() as session:
        session.query(SmsTemplate).update({"text": "新验证码${code}。"})
    send(template, people[1], "2", clock.now)
    work(app, clock)
    assert (current_session().query(Campaign).count(), min(provider.texts.values())) == (2, "【青禾商城】新验证码2。")


def test_whoever_is_killed_between_two_steps_leaves_each_message_planned_once(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    people = builders.contacts(4)
    ids = [send(template, who, "1", clock.now) for who in people[:2]]
    steps = [(message_requests, "empty"), (partitions, "ensure_partition"), (api_messages, "settle")]
    for place, (module, name) in enumerate(steps):
        if place == 2:  # once a run is frozen, people are added to it
            work(app, clock)
            ids += [send(template, who, "1", clock.now) for who in people[2:]]
        with monkeypatch.context() as patch:
            patch.setattr(module, name, kill)
            with pytest.raises(Killed):
                planning.plan(clock.now)
        current_session().rollback()
    work(app, clock)
    assert [told(id_).state for id_ in ids] == ["accepted"] * 4
    assert [run.planned for run in all_runs()] == [4]
    assert {*provider.sent.values()} == {1}
    assert not message_requests.is_waiting()
    assert not api_messages.is_waiting(current_session())


def test_requests_of_the_time_before_a_restore_wait_for_a_person(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    before = send(template, builders.contacts(1)[0], "1", clock.now)
    clock.forward(minutes=1)
    with writing() as session:
        mark = ledger_mark.locked(session)
        mark.restored_at, mark.blind = clock.now, False
    clock.forward(minutes=1)
    after = send(template, builders.contacts(1)[0], "2", clock.now)
    work(app, clock)
    assert [(told(id_).state, told(id_).reason) for id_ in (before, after)] == [
        ("waiting", "restored"),
        ("accepted", ""),
    ]
    actions.resume(told(before).run_id or 0, OPERATOR, clock.now)
    work(app, clock)
    assert told(before).state == "accepted"


def test_failed_ones_are_not_sent_again_by_a_person_and_old_campaigns_are_archived(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    (who,) = builders.contacts(1)
    send(template, who, "1", clock.now, Caller(COMMAND))
    work(app, clock)
    with writing() as session:
        session.query(Message).update({"status": 4, "reason": "unreachable"})
    clock.forward(days=1)
    sweeping.sweep(clock.now)
    (run,) = all_runs()
    assert retries.review(run.campaign_id, run.id, clock.now).failed == 0
    send(template, who, "2", clock.now, Caller(COMMAND))
    work(app, clock)
    standing = [archiving.is_archived(Item.CAMPAIGN, row.id) for row in current_session().query(Campaign)]
    assert sorted(standing) == [False, True]
