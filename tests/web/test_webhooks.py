"""The pages and commands of webhooks."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.domain.webhook import EventKind
from smsapp.services.apps import webhooks
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session

URL = "https://orders.example/sms?token=t0psecret"


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: tests/services/test_webhooks.py has both."""
    return sqlite_config


def test_a_webhook_is_made_shows_its_secret_once_and_logs_a_test(client: Any) -> None:
    administrator = client.as_("administrator")
    administrator.get("/settings/webhooks/")
    # what is wrong stands at its field, and what was typed stays
    page = administrator.post("/settings/webhooks/", status=422, name="订单系统", address="http://orders.example/")
    assert "ALLOWED_PRIVATE_HOSTS" in page.first("#address-error").get_text()
    assert page.first("[name=name]")["value"] == "订单系统"
    page = administrator.post(
        "/settings/webhooks/", name="订单系统", address=URL, kinds=["run.finished", "reply.received"]
    )
    secret = page.first("#secret")["value"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    [row] = webhooks.listed()
    assert row.kinds == ["run.finished", "reply.received"]
    shown = administrator.get(f"/settings/webhooks/{row.id}")
    assert secret not in str(shown)
    # a test event waits, and can be seen
    administrator.post(f"/settings/webhooks/{row.id}/test")
    page = administrator.get(f"/settings/webhooks/{row.id}")
    [(delivery, event)] = webhooks.log(row.id).rows
    assert (event.kind, delivery.state) == (EventKind.TEST, "waiting")
    assert f"msg_{event.uid}" in str(page)
    # it is changed, switched off and removed
    administrator.post(f"/settings/webhooks/{row.id}", name="订单", address=URL, kinds=["run.held"])
    administrator.post(f"/settings/webhooks/{row.id}/switch", active="0")
    current_session().expire_all()
    row = webhooks.row(row.id)
    assert (row.name, row.kinds, row.active) == ("订单", ["run.held"], False)
    page = administrator.post(f"/settings/webhooks/{row.id}/send-since", status=422, since="someday")
    assert page.select("#since-error")
    # what cannot be undone is asked first
    for asked in ("secret", "remove"):
        question = administrator.get(f"/settings/webhooks/{row.id}/{asked}")
        assert "订单" in question.select("form.confirm .confirm-question")[0].text
    assert webhooks.listed() == [row]
    administrator.post(f"/settings/webhooks/{row.id}/remove")
    assert webhooks.listed() == []


def test_the_command_line_does_the_same(app: Flask, runner: FlaskCliRunner) -> None:
    made = runner.invoke(args=["webhooks", "add", "CRM", URL, "--event", "opt_out.added"])
    webhook_id, secret = made.output.split()
    assert secret.startswith("whsec_")
    assert runner.invoke(args=["webhooks", "test", webhook_id]).exit_code == 0
    assert "webhook.test" in runner.invoke(args=["webhooks", "log", webhook_id]).output
    again = runner.invoke(args=["webhooks", "send-since", webhook_id, "2020-01-01"])
    assert again.output == "1 events are sent again.\n"
    runner.invoke(args=["webhooks", "switch", webhook_id, "off"])
    assert runner.invoke(args=["webhooks", "list"]).output.split("\t")[1:4] == ["off", "never", "orders.example"]
    assert runner.invoke(args=["webhooks", "remove", webhook_id]).exit_code == 0
    wrong = runner.invoke(args=["webhooks", "log", webhook_id])
    assert wrong.exit_code == 1
    refused = runner.invoke(args=["webhooks", "add", "CRM", "ftp://orders.example/"])
    assert refused.exit_code == 1
    assert "https://" in refused.output


def test_the_audit_log_names_the_host_and_not_the_rest_of_an_address(client: Any, now: Any) -> None:
    webhooks.create("CRM", URL, [EventKind.RUN_HELD], Actor("test"), now)
    page = client.as_("administrator").get("/audit-log/")
    assert "orders.example" in str(page)
    assert "t0psecret" not in str(page)
