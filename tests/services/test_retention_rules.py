"""What a preview shows is what is removed, for every rule; nothing younger goes."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.channels.types import Callback
from smsapp.domain.api_key import Scope, Step
from smsapp.domain.import_state import ImportState
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import retention
from smsapp.services.receipts import callback_inbox
from smsapp.store.api_requests import ApiRequest
from smsapp.store.apps import message_requests
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.apps.message_requests import NewRequest
from smsapp.store.apps.webhooks import WebhookEvent
from smsapp.store.contacts.imports import Import
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import current_session
from smsapp.store.receipts import inbox
from smsapp.store.receipts.inbox import INBOX
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.api_messages import ApiMessage
from smsapp.store.runs.proofs import Proof
from tests import builders, ledgers
from tests.pages import Pages

YEARS = dt.timedelta(days=3000)


def planted(now: dt.datetime) -> None:
    """Of each kind of row one that is very old and one of an hour ago."""
    channel = builders.channel()
    run = ledgers.run(ledgers.campaign(), slot=now - YEARS, finished_at=now - YEARS, state="done", verdict="sent")
    ledgers.run(ledgers.campaign(), slot=now, finished_at=now, state="done", verdict="sent", id=run.id + 1000)
    key = api_keys.create("Program", [Scope.READ], Actor("test"), now)
    session = current_session()
    builders.contact("u1")
    for at in (now - YEARS, now - dt.timedelta(hours=1)):
        callback_inbox.keep(channel.id, [Callback("POST", "", {}, b"x")], at)
        message_requests.add([NewRequest(1, 1, "u1", at, str(at), "", "{}")], at)
        session.add_all(
            [
                Reply(channel_id=channel.id, phone="+8613800138000", text="x", received_at=at),
                UnmatchedReceipt(channel_id=channel.id, at=at, ref=str(at), status="delivered"),
                BadRecord(at=at, source="up", reason="x", raw="{}"),
                Proof(
                    campaign_id=run.campaign_id, channel_id=channel.id, kind="proof", snapshot=RunSnapshot(), made_at=at
                ),
                ApiRequest(
                    key_id=key.row.id,
                    token=str(at),
                    fingerprint="",
                    step=Step.ANSWERED,
                    status=200,
                    answer="{}",
                    created_at=at,
                    lease_until=at,
                ),
                ApiMessage(id=int(at.timestamp()), key_id=1, template_id=1, contact_id=1, at=at, reason="opted_out"),
                Import(file_name="a.csv", path="gone", state=ImportState.UPLOADED, created_at=at),
            ]
        )
        session.flush()
    session.commit()
    message_requests.empty([row.id for row in message_requests.waiting()])
    with inbox.writing() as connection:
        inbox.mark_read(connection, list(connection.execute(sa.select(INBOX.c.id)).scalars()))
    builders.kept(WebhookEvent(uid="old", kind="run.held", at=now - YEARS, data={}))


@pytest.fixture
def monthly(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Replies and messages are kept for a month."""
    settings = app.extensions["smsapp.settings"]
    for name in ("REPLY_MONTHS", "MESSAGE_MONTHS"):
        object.__setattr__(settings, name, 1)
    return app


def test_a_preview_shows_what_the_next_purge_removes(monthly: Flask, now: dt.datetime) -> None:
    planted(now)
    before = {line.rule.table: (line.rows, line.oldest) for line in retention.preview(now)}
    messages = before.pop("message")
    assert messages[0] > 0
    assert {rows for rows, _ in before.values()} == {1}
    assert {oldest for _, oldest in before.values()} == {now - YEARS} == {messages[1]}

    removed = retention.purge(now)

    assert {table: n for table, n in removed.items() if table != "message"} == dict.fromkeys(before, 1)
    assert {line.rows for line in retention.preview(now)} == {0}
    assert set(retention.purge(now).values()) == {0}


def test_replies_that_wait_for_a_person_stay(monthly: Flask, now: dt.datetime) -> None:
    builders.kept(Reply(channel_id=None, phone="", text="x", waits=True, received_at=now - YEARS))
    assert retention.purge(now)["reply"] == 0


def test_what_is_kept_for_ever_is_not_counted(app: Flask, now: dt.datetime) -> None:
    planted(now)
    lines = {line.rule.table: line for line in retention.preview(now)}
    assert (lines["message"].kept_for, lines["message"].rows) == (None, 0)
    assert "message" not in retention.purge(now)


def test_the_command_prints_it(runner: FlaskCliRunner, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    planted(now)
    lines = runner.invoke(args=["retention", "preview"]).output.splitlines()
    assert "bad_record          7 days      -                1 rows, oldest 2017-12-14" in lines
    assert "bad_record          1 removed" in runner.invoke(args=["retention", "purge"]).output


def test_administrators_see_it_as_a_page(client: Pages) -> None:
    page = client.as_("administrator", locale="en").get("/settings/retention/")
    assert len(page.rows()) == len(retention.RULES)
    assert "RETENTION_DAYS" in page.text
    client.as_("operator").get("/settings/retention/", status=403)
