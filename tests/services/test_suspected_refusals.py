"""Replies that look like refusals: listed for a person, decided one by one or together, and taken back."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

import pytest
from flask import Flask

from smsapp.channels.types import Reply as Incoming
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies, suspected_refusals, unattributed_replies
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry
from tests import builders
from tests.engine import confirmed, work
from tests.fakes import FakeChannel, FakeClock

ACTOR = Actor("olga")
PHONE = builders.phone(0)


class Take(Protocol):
    """Takes in replies; returns the ids of those that wait for a decision, oldest first."""

    def __call__(self, *texts: str, phone: str = PHONE) -> list[int]: ...


@pytest.fixture
def take(app: Flask, clock: FakeClock) -> Take:
    channel = builders.channel()

    def call(*texts: str, phone: str = PHONE) -> list[int]:
        with writing() as session:
            for position, text in enumerate(texts):
                replies.take(session, channel.id, None, position, Incoming(phone=phone, text=text), clock.now)
        return sorted(row.id for row in suspected_refusals.find_page())

    return call


def listed() -> list[tuple[str, str]]:
    current_session().expire_all()
    return [(row.scope, row.signatures) for row in opt_outs.find_page()]


def test_what_looks_like_a_refusal_waits_and_nothing_is_done(take: Take) -> None:
    assert len(take("别再发了", "停车场在哪", "Please stopppp", "TD", phone=builders.phone(1))) == 2
    assert listed() == [("everything", "")]
    assert suspected_refusals.count() == 2


def test_a_number_that_refuses_all_is_not_asked_about(take: Take) -> None:
    assert take("TD", "别再发了") == []


def test_replies_are_decided_together_and_each_decision_can_be_taken_back(take: Take, clock: FakeClock) -> None:
    first, second = take("别再发了", "烦死了")
    # when both are decided to refuse marketing
    assert suspected_refusals.decide({first, second}, Scope.MARKETING, ACTOR, clock.now) == 2
    assert suspected_refusals.decide({first}, None, ACTOR, clock.now) == 0
    assert listed() == [("marketing", "")]
    assert [row.id for row in suspected_refusals.find_page(decided=True)] == [second, first]
    # and both are taken back
    for reply_id in (second, first):
        suspected_refusals.undo(reply_id, ACTOR, clock.now)
    assert listed() == []
    assert suspected_refusals.count() == 2
    actions = [line.action for line in current_session().query(AuditEntry).order_by(AuditEntry.id)]
    assert actions == ["decide_replies", "reopen", "reopen"]
    with pytest.raises(NotFound):
        suspected_refusals.undo(first, ACTOR, clock.now)


def test_what_a_number_refused_before_comes_back(take: Take, clock: FakeClock) -> None:
    builders.template(builders.channel().id)
    ours = Coverage(Scope.SIGNATURE, ("青禾商城",))
    opt_outs.add(PHONE, "热线", ACTOR, clock.now, ours)
    (reply_id,) = take("别再发了")
    clock.forward(minutes=1)
    suspected_refusals.decide({reply_id}, Scope.EVERYTHING, ACTOR, clock.now)
    assert listed() == [("everything", "")]
    suspected_refusals.undo(reply_id, ACTOR, clock.now)
    assert listed() == [("signature", "【青禾商城】")]
    (row,) = opt_outs.find_page()
    assert (row.source, row.note) == ("person", "热线")


def test_a_decision_is_not_taken_back_over_what_came_later(take: Take, clock: FakeClock) -> None:
    (reply_id,) = take("别再发了")
    suspected_refusals.decide({reply_id}, Scope.MARKETING, ACTOR, clock.now)
    clock.forward(minutes=1)
    opt_outs.add(PHONE, "", ACTOR, clock.now, EVERYTHING)
    with pytest.raises(Refusal) as caught:
        suspected_refusals.undo(reply_id, ACTOR, clock.now)
    assert [problem.code for problem in caught.value.problems] == ["decision_overtaken"]
    assert listed() == [("everything", "")]


def test_no_refusal_leaves_the_list_as_it_is(take: Take, clock: FakeClock) -> None:
    (reply_id,) = take("烦死了")
    assert suspected_refusals.decide({reply_id}, None, ACTOR, clock.now) == 1
    assert listed() == []
    assert suspected_refusals.count() == 0


def test_this_signature_is_that_of_the_text_the_reply_answers(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contact("", PHONE)
    channel = builders.channel()
    confirmed(clock.now, channel_id=channel.id, template_id=builders.template(channel.id).id)
    work(app, clock)
    with writing() as session:
        for position, phone in enumerate((PHONE, builders.phone(1))):
            replies.take(session, channel.id, None, position, Incoming(phone=phone, text="别再发了"), clock.now)
    ids = {row.id for row in suspected_refusals.find_page()}
    assert suspected_refusals.decide(ids, Scope.SIGNATURE, ACTOR, clock.now) == 2
    # and without such a text it is everything
    assert listed() == [("everything", ""), ("signature", "【青禾商城】")]


def test_a_reply_without_a_number_waits_once_it_has_one(take: Take, clock: FakeClock, now: dt.datetime) -> None:
    assert take("别再发了", phone="Shop") == []
    (waiting,) = unattributed_replies.find_page()
    unattributed_replies.assign(waiting.id, PHONE, ACTOR, clock.now)
    assert [row.phone for row in suspected_refusals.find_page()] == [PHONE]
