"""Webhooks: every event arrives, those of a campaign in their order, also after kills and a day without an answer."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session
from standardwebhooks import webhooks as official
from standardwebhooks.webhooks import Webhook as Verifier

from smsapp.channels.types import Receipt, ReceiptStatus, SubmitRequest
from smsapp.domain.errors import Refusal
from smsapp.domain.optout import OptOutSource
from smsapp.domain.run import HoldReason
from smsapp.domain.webhook import OFFERED, PAUSES, DeliveryState, EventKind
from smsapp.services.apps import webhook_delivery, webhooks
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import log_action
from smsapp.services.privacy import retention
from smsapp.services.sending import opening
from smsapp.store import journal
from smsapp.store.apps.webhooks import WebhookDelivery, WebhookEvent
from smsapp.store.contacts import replies
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.settings import EXTENSION
from smsapp.store.users import AuditEntry
from tests import builders, receivers
from tests.engine import OPERATOR, arrive, confirmed, refs, work
from tests.fakes import FakeChannel, FakeClock

LOOPBACK = ("127.0.0.0/8",)


@dataclass
class Receiver:
    """A program that hears of events: checks each with the official library, and answers with `status`."""

    url: str = ""
    secret: str = ""
    status: int = 204
    events: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        if self.status >= 300:
            return self.status
        try:
            Verifier(self.secret).verify(body, headers)
        except Exception as error:
            self.wrong.append(repr(error))
            return 400
        self.ids.append(headers["webhook-id"])
        self.events.append(json.loads(body))
        return self.status


@pytest.fixture
def receiver(app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    heard = Receiver()

    class StandingClock(dt.datetime):
        """The official library compares the time of a try with now, which stands still here."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return clock.now.astimezone(tz)

    monkeypatch.setattr(official, "datetime", StandingClock)

    app.extensions[EXTENSION] = replace(app.extensions[EXTENSION], ALLOWED_PRIVATE_HOSTS=LOOPBACK)
    with receivers.listening(heard.take) as url:
        heard.url = f"{url}events?token=secret"
        yield heard


def hears(receiver: Receiver, now: dt.datetime, *kinds: EventKind) -> int:
    """Make a webhook to the receiver; return its id."""
    row, receiver.secret = webhooks.create("Order system", receiver.url, kinds or OFFERED, OPERATOR, now)
    return row.id


def deliveries(state: DeliveryState) -> int:
    current_session().commit()
    query = sa.select(sa.func.count()).select_from(WebhookDelivery).where(WebhookDelivery.state == state)
    return current_session().scalar(query) or 0


def test_a_program_hears_of_a_run_its_results_and_an_opt_out_in_their_order(
    app: Flask, clock: FakeClock, provider: FakeChannel, receiver: Receiver
) -> None:
    # given a webhook for everything, and a campaign to three people
    hears(receiver, clock.now)
    builders.contacts(3)
    campaign, run_id = confirmed(clock.now)
    # when it is sent, a receipt comes, and one of them refuses
    work(app, clock)
    first = refs(run_id)[0]
    arrive(campaign.channel_id or 0, clock, Receipt(ReceiptStatus.DELIVERED, first))
    opt_outs.add("+8613900000001", "", OPERATOR, clock.now)
    webhook_delivery.deliver(clock)
    # then the program has heard of each once, properly signed, and nothing of a number
    assert receiver.wrong == []
    assert sorted(receiver.kinds) == sorted(
        ["run.started", "message.results", "run.finished", "message.results", "opt_out.added"]
    )
    own = [event for event in receiver.events if event["data"]["campaign"] == campaign.id]
    assert [event["type"] for event in own] == ["run.started", "message.results", "run.finished", "message.results"]
    assert own[0]["data"] | {"slot": ""} == {
        "campaign": campaign.id,
        "run": run_id,
        "target": 3,
        "planned": 3,
        "slot": "",
    }
    assert (own[1]["data"]["state"], len(own[1]["data"]["messages"])) == ("accepted", 3)
    assert (own[2]["data"]["verdict"], own[2]["data"]["accepted"]) == ("sent", 3)
    assert own[3]["data"]["messages"] == [int(first.rpartition("-")[2])]
    assert "13900000001" not in json.dumps(receiver.events)
    assert deliveries(DeliveryState.DELIVERED) == 5


def test_what_is_rolled_back_leaves_no_event_and_nobody_who_has_not_asked_hears(
    app: Flask, now: dt.datetime, receiver: Receiver, clock: FakeClock
) -> None:
    hears(receiver, now, EventKind.RUN_HELD)
    builders.contacts(1)
    _campaign, run_id = confirmed(now)

    def interrupted() -> None:
        with writing() as session:
            runs.hold(session, run_id, HoldReason.PAUSED, None, now)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    opt_outs.add("+8613900000001", "", OPERATOR, now)
    assert deliveries(DeliveryState.WAITING) == 0
    with writing() as session:
        runs.hold(session, run_id, HoldReason.PAUSED, None, now)
    webhook_delivery.deliver(clock)
    assert [(event["type"], event["data"]["reason"]) for event in receiver.events] == [("run.held", "paused")]


def test_a_receiver_that_is_down_for_a_day_gets_all_of_it_in_order(
    app: Flask, clock: FakeClock, provider: FakeChannel, receiver: Receiver
) -> None:
    # given a receiver that fails, and two campaigns meanwhile
    receiver.status = 503
    webhook_id = hears(receiver, clock.now, EventKind.RUN_STARTED, EventKind.RUN_FINISHED)
    builders.contacts(2)
    campaigns = [confirmed(clock.now)[0].id for _ in range(2)]
    work(app, clock)
    # when it is tried for a day, only the first event of each campaign is
    end = clock.now + dt.timedelta(days=1)
    while clock.now < end:
        webhook_delivery.deliver(clock)
        clock.forward(minutes=10)
    session = current_session()
    session.expire_all()
    tries = list(session.scalars(sa.select(WebhookDelivery.tries).order_by(WebhookDelivery.event_id)))
    assert sorted(tries)[:2] == [0, 0]
    assert webhooks.row(webhook_id).failing_since is not None
    # and when it is back, it gets all, in the order of each campaign
    receiver.status = 200
    clock.forward(hours=13)
    webhook_delivery.deliver(clock)
    for campaign_id in campaigns:
        own = [event["type"] for event in receiver.events if event["data"]["campaign"] == campaign_id]
        assert own == ["run.started", "run.finished"]
    session.expire_all()
    assert webhooks.row(webhook_id).failing_since is None


def test_a_kill_between_the_answer_and_its_note_repeats_the_same_event(
    app: Flask, clock: FakeClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a process that is killed once the receiver has taken the event
    hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    opt_outs.add("+8613900000001", "", OPERATOR, clock.now)

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(webhook_delivery, "_store", killed)
        with pytest.raises(KeyboardInterrupt):
            webhook_delivery.deliver(clock)
    # then nobody else sends it while the claim lasts
    webhook_delivery.deliver(clock)
    assert len(receiver.ids) == 1
    # and afterwards it is sent again with the same id
    clock.forward(seconds=61)
    webhook_delivery.deliver(clock)
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert deliveries(DeliveryState.WAITING) == 0


def test_it_is_given_up_after_three_days_and_a_person_can_have_it_sent_anew(
    app: Flask, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.status = 500
    webhook_id = hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    begun = clock.now
    opt_outs.add("+8613900000001", "", OPERATOR, clock.now)
    for pause in (*PAUSES, 0):
        webhook_delivery.deliver(clock)
        clock.forward(seconds=pause)
    assert clock.now - begun > dt.timedelta(days=3)
    assert deliveries(DeliveryState.FAILED) == 1
    receiver.status = 200
    assert webhooks.send_since(webhook_id, begun, OPERATOR, clock.now) == 1
    webhook_delivery.deliver(clock)
    assert receiver.kinds == ["opt_out.added"]
    # and again by hand, with the same id
    event_id = current_session().scalar(sa.select(WebhookEvent.id))
    webhooks.send_anew(webhook_id, event_id or 0, OPERATOR, clock.now)
    webhook_delivery.deliver(clock)
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 2


def test_a_receiver_that_is_gone_is_switched_off_and_a_person_hears_of_it(
    app: Flask, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.status = 410
    webhook_id = hears(receiver, clock.now)
    webhooks.try_out(webhook_id, OPERATOR, clock.now)
    webhook_delivery.deliver(clock)
    current_session().expire_all()
    assert not webhooks.row(webhook_id).active
    assert not webhook_delivery.has_work(clock.now + dt.timedelta(days=1))
    assert [row.id for row in webhooks.unreachable(clock.now)] == [webhook_id]
    entry = current_session().scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.noun, entry.by) == ("disable", "webhook", "receiver of events")
    # and whoever says so once more has seen it
    webhooks.switch(webhook_id, False, OPERATOR, clock.now)
    assert webhooks.unreachable(clock.now) == []


def test_a_receipt_that_overtakes_its_answer_is_the_last_word(
    app: Flask, clock: FakeClock, provider: FakeChannel, receiver: Receiver
) -> None:
    # given a provider whose receipt for the first message comes before its answer
    hears(receiver, clock.now, EventKind.MESSAGE_RESULTS)
    builders.contacts(3)
    campaign, _run_id = confirmed(clock.now)

    def overtaken(submission: SubmitRequest) -> None:
        ref = submission.messages[0].ref
        arrive(campaign.channel_id or 0, clock, Receipt(ReceiptStatus.DELIVERED, ref))

    provider.script = overtaken
    # when it is sent
    work(app, clock)
    webhook_delivery.deliver(clock)
    # then nobody hears that it is accepted after they have heard that it is delivered
    told = [(event["data"]["state"], sorted(event["data"]["messages"])) for event in receiver.events]
    assert told == [("delivered", [1]), ("accepted", [2, 3])]


def test_a_savepoint_that_is_rolled_back_takes_no_event_along(
    app: Flask, clock: FakeClock, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "smsapp.store.audit_chain")
    hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    caplog.clear()
    before = journal.highest()
    with writing() as session:
        opt_outs.record(session, "+8613900000001", OptOutSource.PERSON, clock.now)
        log_action(session, OPERATOR, "create", "opt_out", 1, clock.now)
        for end in ("commit", "rollback"):
            getattr(session.begin_nested(), end)()
            assert journal.highest() == before, "the journal tells of what is not committed"
            assert deliveries_so_far(session) == 0
    webhook_delivery.deliver(clock)
    assert receiver.kinds == ["opt_out.added"]
    assert journal.highest() > before
    assert len(caplog.records) == 1


def deliveries_so_far(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(WebhookDelivery)) or 0


def test_refusals_of_several_campaigns_are_told_one_by_one(app: Flask, clock: FakeClock, receiver: Receiver) -> None:
    hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    campaigns = [builders.campaign().id for _ in range(2)]
    facts = {"source": OptOutSource.PROVIDER, "note": "", "channel_id": None, "at": clock.now, "scope": "everything"}
    facts |= {"signatures": "", "confirmation": ""}
    rows = [facts | {"phone": builders.phone(n), "campaign_id": campaigns[n % 2]} for n in range(4)]
    with writing() as session:
        replies.add_opt_outs(session, rows)
    webhook_delivery.deliver(clock)
    told = {event["data"]["campaign"]: len(event["data"]["added"]) for event in receiver.events}
    assert told == dict.fromkeys(campaigns, 2)


def test_a_webhook_goes_with_its_log_while_events_are_written(app: Flask, clock: FakeClock, receiver: Receiver) -> None:
    webhook_id = hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    for n in range(3):
        opt_outs.add(builders.phone(n), "", OPERATOR, clock.now)
    webhooks.remove(webhook_id, OPERATOR, clock.now)
    opt_outs.add(builders.phone(9), "", OPERATOR, clock.now)
    assert webhooks.listed() == []
    assert deliveries(DeliveryState.WAITING) == 0


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "webhook_url"),
        ("https://user:word@host.example/", "webhook_url"),
        ("https://主机.example/", "webhook_url"),
        ("https://[", "webhook_url"),
        ("ftp://host.example/", "webhook_address_unreadable"),
        ("http://host.example/", "webhook_plain_http"),
        ("https://169.254.169.254/", "webhook_address_not_allowed"),
        ("https://[::ffff:10.0.0.1]/", "webhook_address_not_allowed"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_its_field(
    app: Flask, now: dt.datetime, url: str, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        webhooks.create("x", url, OFFERED, OPERATOR, now)
    assert [(problem.code, problem.place) for problem in refused.value.problems] == [(code, "address")]


def test_events_go_after_a_month_but_not_those_that_wait(app: Flask, clock: FakeClock, receiver: Receiver) -> None:
    webhook_id = hears(receiver, clock.now, EventKind.OPT_OUT_ADDED)
    opt_outs.add("+8613900000001", "", OPERATOR, clock.now)
    webhook_delivery.deliver(clock)
    receiver.status = 500
    opt_outs.add("+8613900000002", "", OPERATOR, clock.now)
    clock.forward(days=31)
    assert retention.purge(clock.now)["webhook_event"] == 1
    assert [delivery.state for delivery, _event in webhooks.log(webhook_id).rows] == [DeliveryState.WAITING]


def test_neither_a_secret_nor_an_address_shows_in_a_repr(app: Flask, now: dt.datetime, receiver: Receiver) -> None:
    webhook_id = hears(receiver, now)
    assert repr(webhooks.row(webhook_id)) == f"<Webhook {webhook_id}>"
    assert receiver.secret.encode() not in webhooks.row(webhook_id).secret


def test_a_freeze_that_plans_nobody_is_told_as_well(
    app: Flask, clock: FakeClock, provider: FakeChannel, receiver: Receiver
) -> None:
    hears(receiver, clock.now, EventKind.RUN_FINISHED)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    webhook_delivery.deliver(clock)
    assert [event["data"]["verdict"] for event in receiver.events] == ["nobody"]
