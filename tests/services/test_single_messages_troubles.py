"""Single messages in trouble: lost answers, holds, pauses, contacts that change meanwhile."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Sequence

import pytest
from flask import Flask, current_app
from sqlalchemy.exc import OperationalError

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.registration import RegistrationState
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.campaigns import single_messages
from smsapp.services.platform.group_commit import Pending
from smsapp.services.sending import sender
from smsapp.services.templates import registration_guard
from smsapp.store.apps import message_requests
from smsapp.store.apps.message_requests import NewRequest
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, work
from tests.fakes import FakeChannel, FakeClock
from tests.services.test_registrations import say
from tests.single_messages import KEY, all_runs, send, told

MOBILE, UNICOM = "+8613800138001", "+8613100138005"


@pytest.fixture(autouse=True)
def fresh(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that was just started, and senders that do not linger."""
    current_app.extensions.pop(single_messages.EXTENSION, None)
    monkeypatch.setattr(sender, "LINGER_SECONDS", 0)


@pytest.fixture
def template(app: Flask) -> SmsTemplate:
    return builders.template(builders.channel().id, text="验证码${code}，请勿告诉他人。")


def test_a_commit_whose_answer_was_lost_stores_each_request_once(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, batches = message_requests.add, []
    arrived = threading.Semaphore(0)

    class Waiting(deque[Pending[NewRequest]]):
        def append(self, pending: Pending[NewRequest]) -> None:
            super().append(pending)
            arrived.release()

    def add(requests: Sequence[NewRequest], kept_since: dt.datetime) -> None:
        real(requests, kept_since)
        batches.append(len(requests))
        if len(batches) == 1:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    people = builders.contacts(2)
    ids: list[int] = []

    def ask(who: Contact) -> None:
        with app.app_context():
            taken = single_messages.send(who.xwho, template.id, {"code": "1"}, KEY, OPERATOR, clock.now)
            assert not taken.is_repeated
            ids.append(taken.id)

    monkeypatch.setattr(message_requests, "add", add)
    commit = single_messages._door().commit
    commit.waiting = Waiting()
    threads = [threading.Thread(target=ask, args=(who,)) for who in people]
    # When two requests share the transaction whose answer is lost
    with commit.inside:
        for thread in threads:
            thread.start()
        assert all(arrived.acquire(timeout=30) for _ in threads)
    for thread in threads:
        thread.join()
    # Then each is tried again alone, and finds itself
    assert batches == [2, 1, 1]
    assert sorted(ids) == [row.id for row in message_requests.waiting()]
    work(app, clock)
    assert [told(id_).state for id_ in ids] == ["accepted"] * 2
    assert len(provider.sent) == 2


def test_a_carrier_that_a_person_leaves_out_is_left_out_the_next_day_too(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    say(template.channel_id, RegistrationState.REGISTERED, clock.now, REGISTRARS)
    send(template, builders.contact(phone=MOBILE), "1", clock.now)
    work(app, clock)
    # Given a carrier that lets nothing through any more, a message for it is held, and counted
    say(template.channel_id, RegistrationState.LAPSED, clock.now)
    first = send(template, builders.contact(phone=UNICOM), "2", clock.now)
    work(app, clock)
    assert told(first).reason == HoldReason.REGISTRATION
    # And so is that of the next day, which nobody has decided about either
    clock.forward(days=1)
    second = send(template, builders.contact(phone="+8613100138006"), "3", clock.now)
    work(app, clock)
    assert told(second).reason == HoldReason.REGISTRATION
    held = [run for run in all_runs() if run.state == RunState.HELD]
    lapses = [builders.existing(registration_guard.held(run, clock.now)).lapses for run in held]
    assert [[(lapse.carrier, lapse.n) for lapse in each] for each in lapses] == [[(Carrier.UNICOM, 1)]] * 2
    # When a person leaves the carrier out
    for run in held:
        mark = builders.existing(registration_guard.held(run, clock.now)).mark
        registration_guard.accept(run.id, mark, OPERATOR, clock.now, leave_out=True)
    work(app, clock)
    # Then nothing is sent to it, on that day and on the next
    clock.forward(days=1)
    third = send(template, builders.contact(phone="+8613100138007"), "4", clock.now)
    work(app, clock)
    later = send(template, builders.contact(phone="+8613100138008"), "5", clock.now)  # to a run that is frozen
    work(app, clock)
    left_out = ("excluded", ExclusionReason.CARRIER_LEFT_OUT)
    assert [(told(id_).state, told(id_).reason) for id_ in (first, second, third, later)] == [left_out] * 4
    assert [*provider.numbers] == [MOBILE]
    assert current_session().query(Campaign).count() == 3
