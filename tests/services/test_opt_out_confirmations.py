"""Opt-outs the provider tells of, and the one text that confirms an opt-out."""

from __future__ import annotations

from typing import NoReturn

import pytest
from flask import Flask

from smsapp.channels.errors import AccountError, OutcomeUnknown
from smsapp.channels.types import Receipt, ReceiptStatus, SubmitRequest, SubmitResult
from smsapp.channels.types import Reply as Incoming
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import Outcome
from smsapp.services.channels import registry
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import applying, replies
from smsapp.services.sending import opt_out_confirmations
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Message
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import AuditEntry
from tests import builders
from tests.engine import OPERATOR, confirmed, funnel, work
from tests.fakes import FakeChannel, FakeClock

PHONE = "+8613800138000"
TEXT = "您已退订，今后不会再收到我们的营销短信。"


def listed() -> list[OptOut]:
    current_session().expire_all()
    return current_session().query(OptOut).order_by(OptOut.phone).all()


def test_whom_the_provider_refuses_as_opted_out_is_on_our_list_afterwards(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    people = builders.contacts(3)
    answers = {
        0: SubmitResult(False, outcome=Outcome.OPTED_OUT, code="blacklist"),
        1: SubmitResult(False, outcome=Outcome.BAD_NUMBER),
    }
    provider.script = lambda submission: [answers.get(n, SubmitResult(True)) for n in range(len(submission.messages))]
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    (row,) = listed()
    assert (row.phone, row.source, row.channel_id, row.campaign_id) == (
        people[0].phones["$phone"],
        "provider",
        campaign.channel_id,
        campaign.id,
    )
    assert row.confirmation == ""
    assert funnel(run_id).refused == 2


def test_whom_a_receipt_calls_opted_out_is_on_our_list_afterwards_and_only_once(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    people = builders.contacts(4)
    campaign, run_id = confirmed(clock.now)
    assert campaign.channel_id is not None
    work(app, clock)
    opt_outs.add(people[1].phones["$phone"], "asked on the phone", OPERATOR, clock.now)
    said = [
        Receipt(ReceiptStatus.UNDELIVERED, f"{run_id}-{seq}", outcome=outcome)
        for seq, outcome in ((1, Outcome.OPTED_OUT), (2, Outcome.OPTED_OUT), (3, Outcome.SWITCHED_OFF))
    ]
    for _again in range(2):
        with writing() as session:
            applying.apply_receipts(session, {campaign.channel_id: said}, clock.now)
    by_seq = dict(current_session().query(Message.seq, Message.phone).filter_by(run_id=run_id))
    assert {row.phone: row.source for row in listed()} == {
        by_seq[1]: "provider",
        by_seq[2]: "provider" if by_seq[2] != people[1].phones["$phone"] else "person",
    } | {people[1].phones["$phone"]: "person"}


@pytest.fixture
def confirming(app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> ChannelRow:
    """A channel that confirms opt-outs."""
    monkeypatch.setattr(registry, "new_adapter", lambda _row: provider)
    row = builders.channel()
    template = builders.template(row.id, text=TEXT)
    opt_out_confirmations.choose(row.id, template.id, OPERATOR, clock.now)
    return row


def hears(row: ChannelRow, clock: FakeClock, text: str, *, opts_out: bool = False, position: int = 0) -> None:
    with writing() as session:
        replies.take(session, row.id, 1, position, Incoming(PHONE, text, opts_out=opts_out), clock.now)


def test_an_opt_out_is_confirmed_once_however_often_it_is_repeated(
    confirming: ChannelRow, provider: FakeChannel, clock: FakeClock
) -> None:
    hears(confirming, clock, "TD")
    assert opt_out_confirmations.send_due(clock.now) == 1
    hears(confirming, clock, "T", position=1)
    assert opt_out_confirmations.send_due(clock.now) == 0
    assert list(provider.texts.values()) == [f"【青禾商城】{TEXT}"]
    (row,) = listed()
    assert (row.confirmation, row.confirmed_at) == ("sent", clock.now)
    assert [line.noun_id for line in current_session().query(AuditEntry).filter_by(noun="opt_out")] == ["138****8000"]


@pytest.mark.parametrize("text", ["谢谢", "不要退订"])
def test_a_reply_that_is_no_opt_out_is_answered_by_nothing(
    confirming: ChannelRow, provider: FakeChannel, clock: FakeClock, text: str
) -> None:
    hears(confirming, clock, text)
    assert (opt_out_confirmations.send_due(clock.now), provider.sent) == (0, {})


def test_nothing_is_confirmed_where_no_text_was_chosen_or_the_provider_has_answered_itself(
    confirming: ChannelRow, provider: FakeChannel, clock: FakeClock
) -> None:
    hears(confirming, clock, "STOP", opts_out=True)
    assert opt_out_confirmations.send_due(clock.now) == 0
    opt_out_confirmations.choose(confirming.id, None, OPERATOR, clock.now)
    opt_outs.remove(listed()[0].id, "asked", OPERATOR, clock.now)
    hears(confirming, clock, "TD", position=1)
    assert (opt_out_confirmations.send_due(clock.now), provider.sent) == (0, {})


@pytest.mark.parametrize(
    ("trouble", "ends"),
    [(AccountError("key"), "failed"), (OutcomeUnknown("cut"), "unconfirmed"), (RuntimeError("x"), "unconfirmed")],
)
def test_a_confirmation_that_fails_or_may_have_left_is_never_tried_again(
    confirming: ChannelRow, provider: FakeChannel, clock: FakeClock, trouble: Exception, ends: str
) -> None:
    def fails(_submission: SubmitRequest) -> NoReturn:
        raise trouble

    provider.script = fails
    hears(confirming, clock, "TD")
    assert opt_out_confirmations.send_due(clock.now) == 0
    provider.script = None
    assert opt_out_confirmations.send_due(clock.now) == 0
    assert (listed()[0].confirmation, provider.sent) == (ends, {})


def test_a_text_that_is_no_longer_approved_confirms_nothing(
    confirming: ChannelRow, provider: FakeChannel, clock: FakeClock
) -> None:
    hears(confirming, clock, "TD")
    current_session().query(SmsTemplate).one().audit = "withdrawn"
    current_session().commit()
    assert opt_out_confirmations.send_due(clock.now) == 0
    assert (listed()[0].confirmation, provider.sent) == ("failed", {})


@pytest.mark.parametrize("given", [{"purpose": "marketing"}, {"text": "${name}您好"}, {"audit": "pending"}])
def test_a_marketing_text_one_with_variables_or_an_unapproved_one_cannot_confirm(
    app: Flask, clock: FakeClock, given: dict[str, str]
) -> None:
    row = builders.channel()
    template = builders.template(row.id, **given)
    assert opt_out_confirmations.choices(row.id) == []
    with pytest.raises(Refusal):
        opt_out_confirmations.choose(row.id, template.id, OPERATOR, clock.now)
