"""Single messages in trouble: lost answers, holds, pauses, contacts that change meanwhile."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.errors import Refusal
from smsapp.domain.registration import RegistrationState
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.single_message import TAKES_FOR
from smsapp.services.campaigns import single_messages
from smsapp.services.campaigns.single_messages import Caller, OtherRequest
from smsapp.services.platform.group_commit import Pending
from smsapp.services.reports import verify
from smsapp.services.sending import actions, opening, recovery, sender, sweeping
from smsapp.services.sending import single_messages as planning
from smsapp.services.templates import registration_guard
from smsapp.store.apps import message_requests
from smsapp.store.apps.message_requests import NewRequest
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut
from smsapp.store.contacts.successors import absorb
from smsapp.store.db import current_session, db, dialect, lock_row, writing
from smsapp.store.runs import api_messages, freezing
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.backups import backed_up, restored, tools
from tests.engine import OPERATOR, work
from tests.fakes import FakeChannel, FakeClock
from tests.services.test_registrations import say
from tests.single_messages import KEY, all_runs, send, told

__all__ = ["tools"]
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


def test_of_requests_stored_together_each_has_its_own_outcome(app: Flask, clock: FakeClock) -> None:
    who = builders.contact()
    # Given strangers and repetitions among those of one transaction
    wanted = [("stranger", "a", "1"), ("stranger", "a", "2"), (who.xwho, "a", "3"), (who.xwho, "a", "4")]
    wanted += [(who.xwho, "b", "5"), ("", "c", "6")]
    requests = [NewRequest(7, 1, xwho, clock.now, token, body, '{"code":"“1”"}') for xwho, token, body in wanted]
    message_requests.add(requests, clock.now)
    # Then nothing is stored for strangers, and of each Idempotency-Key one request
    assert [row.contact_id for row in requests] == [None, None, who.id, who.id, who.id, None]
    assert [row.earlier for row in requests] == [None, None, None, "3", None, None]
    stored = [(row.id, row.contact_id, row.at, row.given) for row in message_requests.waiting()]
    assert stored == [(id_, who.id, clock.now, '{"code":"“1”"}') for id_ in sorted({requests[2].id, requests[4].id})]
    assert requests[3].id == requests[2].id


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
    # And so is that of another day, for nobody has decided yet
    clock.forward(days=1)
    send(template, builders.contact(phone="+8613800138002"), "2", clock.now)
    work(app, clock)
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
    assert {*provider.numbers} == {MOBILE, "+8613800138002"}
    assert current_session().query(Campaign).count() == 4


def test_nobody_else_gets_the_message_of_a_contact_that_was_removed(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    removed = builders.contact(phone=builders.phone(99_000_001))
    first, contact_id = send(template, removed, "111111", clock.now), removed.id
    with writing() as session:
        session.execute(sa.delete(Contact).where(Contact.id == contact_id))
    current_session().expunge(removed)
    # Given a newer contact with the id of the one that was asked for, which SQLite gives again
    clock.forward(seconds=1)
    builders.contact(phone=builders.phone(99_000_002), id=contact_id, created_at=clock.now)
    work(app, clock)
    assert (told(first).state, told(first).reason) == ("excluded", "contact_gone")
    assert provider.sent == {}


def test_a_message_goes_to_the_person_that_an_anonymous_visitor_turned_out_to_be(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    visitor = builders.contact("visitor", builders.phone(99_000_001))
    before = [send(template, visitor, code, clock.now) for code in ("1", "2")]
    planning.plan(clock.now)  # one is assigned to a run, and one to another
    clock.forward(seconds=1)
    builders.contact("member", builders.phone(99_000_002), created_at=clock.now)
    with writing() as session:
        absorb(session, {"visitor": "member"})
    work(app, clock)
    assert [told(id_).state for id_ in before] == ["accepted"] * 2
    assert provider.numbers == {builders.phone(99_000_002): 2}


def test_while_a_run_is_paused_what_comes_is_paused_too(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    who = builders.contact(phone=builders.phone(99_000_001))
    send(template, who, "1", clock.now)
    work(app, clock)
    (run,) = all_runs()
    actions.to_each_run(run.campaign_id, actions.pause, OPERATOR, clock.now)
    # A second one to the same number needs another run, and after an hour everybody does
    ids = [send(template, who, "2", clock.now)]
    work(app, clock)
    clock.forward(seconds=TAKES_FOR.total_seconds() + 1)
    ids += [send(template, each, "3", clock.now) for each in [who, *builders.contacts(2)]]
    work(app, clock)
    assert {told(id_).reason for id_ in ids} == {"paused"}
    assert len(provider.sent) == 1
    actions.to_each_run(run.campaign_id, actions.resume, OPERATOR, clock.now)
    work(app, clock)
    assert [told(id_).state for id_ in ids] == ["accepted"] * 4
    assert len({run.campaign_id for run in all_runs()}) == 1


def test_people_who_change_while_they_are_added_keep_the_numbers_right(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "postgresql":
        pytest.skip("nobody writes meanwhile on SQLite")
    send(template, builders.contacts(1)[0], "1", clock.now)
    work(app, clock)
    moves, goes, opted_out = *builders.contacts(2), builders.contact(phone=builders.phone(99_000_003))
    builders.kept(OptOut(phone=builders.phone(99_000_003), source="person", at=clock.now))
    ids = [send(template, who, "1", clock.now) for who in (moves, goes, opted_out)]
    moves_id, goes_id, real = moves.id, goes.id, freezing._exclude_others

    def exclude(*arguments: Any) -> Any:
        phones = {"$phone": builders.phone(99_000_077)}
        with db.engine.begin() as connection:
            connection.execute(sa.update(Contact).where(Contact.id == moves_id).values(phones=phones))
            connection.execute(sa.delete(Contact).where(Contact.id == goes_id))
        return real(*arguments)

    monkeypatch.setattr(freezing, "_exclude_others", exclude)
    work(app, clock)
    (run,) = all_runs()
    assert [told(id_).reason for id_ in ids] == ["", "", "opted_out"]
    assert (run.target, run.planned) == (4, 3)
    assert [check.broken for check in verify.verify(run.campaign_id)] == [[]]


def test_many_messages_to_one_number_do_not_keep_others_waiting(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_requests, "MOST_ROWS", 3)
    who = builders.contact(phone=builders.phone(99_000_001))
    for n in range(5):
        send(template, who, str(n), clock.now)
    other, late = builders.contacts(2)
    ids = [send(template, other, "5", clock.now)]
    with writing() as session:
        api_messages.add(session, message_requests.waiting(99))
    work(app, clock)
    # Then the other one is in the first run
    assert min(run.id for run in all_runs()) == told(ids[0]).run_id
    for n in range(5):
        send(template, who, str(n), clock.now)
    ids.append(send(template, late, "6", clock.now))
    with writing() as session:
        api_messages.add(session, message_requests.waiting(99))
    work(app, clock)
    assert [told(id_).run_id for id_ in ids] == [min(run.id for run in all_runs())] * 2


def test_people_who_are_assigned_while_a_freeze_begins_are_in_it_or_in_the_next_one(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "postgresql":
        pytest.skip("nobody writes meanwhile on SQLite")
    people = builders.contacts(2)
    first = send(template, people[0], "1", clock.now)
    planning.plan(clock.now)  # a run that is open
    second = send(template, people[1], "2", clock.now)

    def plan() -> None:
        with app.app_context():
            planning.plan(clock.now)

    def lock(session: Session, *arguments: Any, **options: Any) -> Any:
        session.execute(sa.text("SELECT 1"))  # from here on the freeze sees one snapshot
        thread = threading.Thread(target=plan)
        thread.start()
        thread.join()
        return lock_row(session, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("smsapp.services.sending.opening.lock_row", lock)
        with pytest.raises(OperationalError, match="could not serialize"):
            opening.open_run(all_runs()[0].id, clock.now)
    current_session().rollback()
    work(app, clock)
    assert [told(id_).state for id_ in (first, second)] == ["accepted"] * 2


def test_a_repetition_is_answered_as_before_whatever_has_changed(
    app: Flask, clock: FakeClock, template: SmsTemplate
) -> None:
    (who,) = builders.contacts(1)
    once = Caller(7, idempotency_key="once-and-only-once", request=b"the same")
    first = send(template, who, "1", clock.now, once)
    with writing() as session:
        session.query(SmsTemplate).update({"archived_at": clock.now})
    current_app.extensions.pop(single_messages.EXTENSION)
    again = single_messages.send(who.xwho, template.id, {"code": "1"}, once, OPERATOR, clock.now)
    assert (again.id, again.is_repeated) == (first, True)
    # But another request is another one, and a day later nothing is known of it
    with pytest.raises(OtherRequest):
        send(template, who, "2", clock.now, replace(once, request=b"another"))
    clock.forward(days=1, seconds=1)
    for late in (once, replace(once, idempotency_key="never-used-before"), KEY):
        with pytest.raises(Refusal, match="template_archived"):
            send(template, who, "1", clock.now, late)


@pytest.mark.usefixtures("tools")
def test_a_restore_keeps_the_requests_that_were_answered_since_the_backup(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, tmp_path: Path
) -> None:
    assert recovery.check(clock.now) is None
    people = builders.contacts(3)
    backed_up(tmp_path / "smsapp.backup", clock.now)
    clock.forward(minutes=1)
    left = send(template, people[0], "1", clock.now)
    work(app, clock)
    waiting = send(template, people[1], "2", clock.now)
    clock.forward(minutes=1)
    restored(tmp_path / "smsapp.backup", clock.now)
    work(app, clock)
    # Then nobody knows of the one that was planned, and the other waits for a person, for it may have left
    assert told(left).state == "lost"
    assert (told(waiting).state, told(waiting).reason) == ("waiting", "restored")
    actions.resume(told(waiting).run_id or 0, OPERATOR, clock.now)
    work(app, clock)
    assert (told(waiting).state, len(provider.sent)) == ("accepted", 2)


def test_a_run_that_is_given_up_takes_only_those_along_who_have_waited_as_long(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate
) -> None:
    people = builders.contacts(2)
    first = send(template, people[0], "1", clock.now)
    planning.plan(clock.now)
    with writing() as session:
        session.query(ChannelRow).update({"active": False})
    work(app, clock)
    with writing() as session:
        session.query(ChannelRow).update({"active": True})
        session.query(Campaign).update({"grace_minutes": 30})
    clock.forward(minutes=29)
    second = send(template, people[1], "2", clock.now)
    work(app, clock)
    assert [told(id_).reason for id_ in (first, second)] == ["channel_inactive"] * 2
    clock.forward(minutes=2)
    sweeping.sweep(clock.now)
    work(app, clock)
    assert (told(first).state, told(first).reason) == ("excluded", "run_ended")
    assert told(second).state == "accepted"


def test_what_comes_while_a_person_ends_the_campaign_begins_another(
    app: Flask, provider: FakeChannel, clock: FakeClock, template: SmsTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "postgresql":
        pytest.skip("nobody writes meanwhile on SQLite")
    people = builders.contacts(2)
    first = send(template, people[0], "1", clock.now)
    work(app, clock)
    clock.forward(seconds=TAKES_FOR.total_seconds() + 1)
    second = send(template, people[1], "2", clock.now)

    def lock(session: Session, model: Any, *arguments: Any) -> Any:
        if model is Campaign:
            with db.engine.begin() as connection:
                connection.execute(sa.update(Campaign).values(status=Status.STOPPED))
        return lock_row(session, model, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("smsapp.services.sending.single_messages.lock_row", lock)
        planning.plan(clock.now)
    work(app, clock)
    assert told(second).state == "accepted"
    assert told(second).campaign_id != told(first).campaign_id
