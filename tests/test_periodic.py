"""Periodic tasks: a job is made only where something waits, and for whatever waits."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

import worker
from smsapp.channels.types import Callback
from smsapp.domain.errors import OutOfTime
from smsapp.domain.optout import Confirmation
from smsapp.domain.trust import KeyKind
from smsapp.domain.webhook import OFFERED
from smsapp.jobs import periodic
from smsapp.services.apps import app_keys, uploads, webhooks
from smsapp.services.campaigns import proofs
from smsapp.services.channels import registry
from smsapp.services.platform import clock, failed_sign_ins
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import erasing
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.store import deadline, queue
from smsapp.store.apps import key_tallies, message_requests
from smsapp.store.apps.message_requests import NewRequest
from smsapp.store.contacts.property_changes import PropertyChange
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.api_messages import ApiMessage
from smsapp.store.runs.proofs import Colleague
from tests import builders

BY = Actor("test")
ASKED = sorted(task.task for task in periodic.PERIODIC_TASKS if task.if_needed)


@pytest.fixture
def now() -> dt.datetime:
    return clock.now()


def needed() -> list[str]:
    current_session().commit()
    return [task for task in ASKED if worker.is_needed(task)]


def callback_waits(now: dt.datetime) -> None:
    callback_inbox.keep(builders.channel(active=False).id, [Callback("POST", "", {}, b"x")], now)


def unmatched_receipt_is_young(now: dt.datetime) -> None:
    channel = builders.channel(active=False)
    row = UnmatchedReceipt(channel_id=channel.id, at=now, provider_ref="later", status="delivered")
    current_session().add(row)


def upload_waits(now: dt.datetime) -> None:
    key = app_keys.create("shop", KeyKind.SERVER, BY, now).key
    record = {"appid": key, "xwho": "m1", "xwhat": "$profile_set", "xcontext": {"vip": True}}
    uploads.take(json.dumps([record]).encode(), key, now)


def key_brought_something(now: dt.datetime) -> None:
    key = app_keys.create("shop", KeyKind.BROWSER, BY, now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = key_tallies.KeyTally(app_key_id=key.id, hour=hour, measure="created", name="", n=1)
    current_session().add(row)


def property_is_changing(now: dt.datetime) -> None:
    current_session().add(PropertyChange(kind="remove", name="level", state="running", created_at=now))


def provider_is_polled(_now: dt.datetime) -> None:
    builders.channel(kind="simulator", settings={})  # in which nothing is due
    assert needed() == []
    asked = {name for name, kind in registry.kinds().items() if kind.polls and name != "simulator"}
    builders.channel(kind=min(asked), settings={})


def confirmation_is_due(now: dt.datetime) -> None:
    current_session().add(OptOut(phone=builders.phone(1), source="reply", at=now, confirmation=Confirmation.DUE))


def sign_ins_failed(now: dt.datetime) -> None:
    for _ in range(failed_sign_ins.SINGLY + 1):
        failed_sign_ins.log(None, "192.0.2.1", now - failed_sign_ins.WINDOW - dt.timedelta(seconds=1))


def proof_waits(now: dt.datetime) -> None:
    campaign = builders.campaign()
    builders.kept(Colleague(name="林然", phone=builders.phone(1), is_seed=False, created_at=now))
    proofs.send(campaign.id, 0, "key", BY, now)


def person_is_erased(now: dt.datetime) -> None:
    builders.contact("m1", builders.phone(1))
    erasing.request([builders.phone(1)], BY, now)


def message_waits(now: dt.datetime) -> None:
    builders.contact("u1")
    message_requests.add([NewRequest(1, 1, "u1", now, "token", "", "{}")], now)


def message_has_no_run(now: dt.datetime) -> None:
    row = ApiMessage(id=1, key_id=1, template_id=1, contact_id=1, at=now, given="{}")
    current_session().add(row)


def event_waits(now: dt.datetime) -> None:
    row, _secret = webhooks.create("CRM", "https://crm.example/", OFFERED, BY, now)
    webhooks.try_out(row.id, BY, now)


def test_nothing_waits_where_nothing_was_done(app: Flask) -> None:
    assert needed() == []


@pytest.mark.parametrize(
    ("task", "happens"),
    [
        ("keep_reading", callback_waits),
        ("keep_reading", unmatched_receipt_is_young),
        ("apply_uploads", upload_waits),
        ("watch_keys", key_brought_something),
        ("sweep_properties", property_is_changing),
        ("ask_providers", provider_is_polled),
        ("confirm_opt_outs", confirmation_is_due),
        ("send_proofs", proof_waits),
        ("erase_people", person_is_erased),
        ("log_failed_sign_ins", sign_ins_failed),
        ("deliver_webhooks", event_waits),
        ("plan_messages", message_waits),
        ("plan_messages", message_has_no_run),
    ],
)
def test_what_waits_is_found_though_its_own_job_was_lost(
    app: Flask, now: dt.datetime, task: str, happens: Callable[[dt.datetime], None]
) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere/at/all.sock")
    happens(now)
    assert needed() == [task]


def test_every_condition_has_a_case_here() -> None:
    (cases,) = (
        mark.args[1]
        for mark in test_what_waits_is_found_though_its_own_job_was_lost.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    assert sorted({task for task, _happens in cases}) == ASKED


def test_what_is_done_is_not_asked_for_again(app: Flask, now: dt.datetime) -> None:
    callback_waits(now)
    assert needed() == ["keep_reading"]
    consumer.apply_callbacks(now)
    assert needed() == []


@pytest.mark.parametrize("fault", [OperationalError("", {}, Exception()), OutOfTime()])
def test_a_database_that_does_not_say_costs_a_job_and_no_campaign(
    app: Flask, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def away(_now: dt.datetime) -> bool:
        left = deadline.seconds_left()
        assert left is not None
        assert left <= worker.LONGEST_LOOK
        raise fault

    monkeypatch.setattr(periodic, "PERIODIC_TASKS", (periodic.PeriodicTask("keep_reading", 5, if_needed=away),))
    assert worker.is_needed("keep_reading")
    assert not deadline.is_set()
