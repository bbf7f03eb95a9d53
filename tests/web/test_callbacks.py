"""Providers bring receipts: whoever knows the address, and nobody else; stored before it is acknowledged."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, CallbackRefused, NotSent
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback
from smsapp.services.channels import accounts, callback_addresses, registry
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import callback_inbox, callbacks, consumer
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.settings import EXTENSION, settings
from smsapp.store.users import AuditEntry
from tests import builders
from tests.fakes import FakeClock
from tests.inboxes import unread
from tests.pages import Pages


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def gateway(app: Flask) -> ChannelRow:
    given = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings}
    return builders.channel(
        kind="gateway",
        callback_token="tok-en",
        settings=given | {"url": "https://example.com/", "callback_answer": "ACK/Jasmin"},
    )


def stored() -> list[tuple[str, str, bytes]]:
    return [(row.method, row.query, row.body) for row in unread(10)]


def test_a_callback_is_kept_as_it_came_and_answered_as_the_provider_wants(
    http: FlaskClient, gateway: ChannelRow
) -> None:
    query = "ref=7-1&status=1&code=%E4%BD%A0%2F"
    answer = http.get(f"/callbacks/tok-en?{query}", headers={"Cookie": "a=b", "Authorization": "c", "X-Sign": "d"})
    assert (answer.status_code, answer.data) == (200, b"ACK/Jasmin")
    answer = http.post("/callbacks/tok-en", data=b"\xff\x00 raw", content_type="application/octet-stream")
    assert answer.status_code == 200
    assert stored() == [("GET", query, b""), ("POST", "", b"\xff\x00 raw")]
    headers = unread(1)[0].headers
    assert "x-sign" not in headers, "what no adapter asks for may be a proxy's or a stranger's"
    assert not {"cookie", "authorization"} & set(headers)
    assert "Set-Cookie" not in answer.headers


def test_a_probe_is_answered_and_nothing_is_kept(http: FlaskClient, gateway: ChannelRow) -> None:
    assert http.head("/callbacks/tok-en").status_code == 200
    assert http.get("/callbacks/tok-en").status_code == 200
    assert stored() == []


def test_an_unknown_address_is_not_found(http: FlaskClient, gateway: ChannelRow) -> None:
    assert http.post("/callbacks/wrong", data=b"x").status_code == 404
    assert http.get("/callbacks/?x=1").status_code == 404
    assert stored() == []


def test_a_body_has_a_limit(http: FlaskClient, gateway: ChannelRow) -> None:
    assert http.post("/callbacks/tok-en", data=b"x" * (64 * 1024 + 1)).status_code == 413
    assert http.post("/callbacks/tok-en", data=b"x" * (64 * 1024)).status_code == 200
    assert len(stored()) == 1


@pytest.mark.parametrize("place", ["query", "body"])
def test_a_form_of_thousands_of_fields_is_refused_before_it_is_read(
    place: str, http: FlaskClient, gateway: ChannelRow
) -> None:
    for fields, status in ((1001, 413), (1000, 200)):
        form = "&".join(["a=1"] * fields)
        given = {"query_string": form} if place == "query" else {"data": form}
        assert http.post("/callbacks/tok-en", **given).status_code == status
    # a document may hold as many signs as it likes
    assert http.post("/callbacks/tok-en", data='[{"text":"' + "&" * 5000 + '"}]').status_code == 200
    assert len(stored()) == 2


def test_a_wrong_signature_is_refused_and_not_kept(
    http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(_self: Channel, _callback: Callback) -> None:
        raise CallbackRefused

    monkeypatch.setattr(registry.kinds()["gateway"], "verify_callback", verify)
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 403
    assert stored() == []


def test_providers_sign_the_address_they_were_given_not_the_one_a_proxy_shows_us(
    app: Flask, http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        registry.kinds()["gateway"], "verify_callback", lambda _self, callback: seen.append(callback.url)
    )
    without = settings()
    app.extensions[EXTENSION] = replace(without, PUBLIC_URL="https://sms.example.com/base")
    http.post("/callbacks/tok-en?a=%20b", data=b"x", headers={"Host": "inner:8000"})
    http.post("/callbacks/tok-en", data=b"x", headers={"Host": "evil.example"})
    app.extensions[EXTENSION] = without
    http.post("/callbacks/tok-en?a=%20b", data=b"x")
    assert seen == [
        "https://sms.example.com/base/callbacks/tok-en?a=%20b",
        "https://sms.example.com/base/callbacks/tok-en",
        "http://localhost/callbacks/tok-en?a=%20b",
    ]


def test_a_key_that_was_just_changed_is_believed_at_once(
    http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(self: Channel, callback: Callback) -> None:
        if callback.body.decode() != self.values["callback_answer"]:
            raise CallbackRefused

    monkeypatch.setattr(registry.kinds()["gateway"], "verify_callback", verify)
    assert http.post("/callbacks/tok-en", data=b"ACK/Jasmin").status_code == 200
    with writing() as session:
        row = session.get_one(ChannelRow, gateway.id)
        row.settings = row.settings | {"callback_answer": "new"}
    assert http.post("/callbacks/tok-en", data=b"new").status_code == 200
    assert http.post("/callbacks/tok-en", data=b"ACK/Jasmin").status_code == 403


@pytest.mark.parametrize(
    ("trouble", "status"),
    [(None, 200), (CallbackRefused(), 403), (NotSent("connect"), 503), (AccountError("HTTP 404"), 503)],
)
def test_a_provider_may_have_to_be_asked_before_it_is_believed(
    trouble: Exception | None, status: int, http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def ask(_self: Channel, callback: Callback, _http: HttpClient) -> None:
        asked.append(callback.body)
        if trouble:
            raise trouble

    monkeypatch.setattr(
        registry.kinds()["gateway"], "needs_confirmation", lambda _self, callback: callback.body != b"known"
    )
    monkeypatch.setattr(registry.kinds()["gateway"], "confirm_callback", ask)
    assert http.post("/callbacks/tok-en", data=b"known").status_code == 200
    assert http.post("/callbacks/tok-en", data=b"new").status_code == status
    assert asked == [b"new"]
    assert len(stored()) == (2 if status == 200 else 1)


def test_a_provider_that_does_not_answer_keeps_nobody_waiting_for_long(
    http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(callbacks, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(registry.kinds()["gateway"], "needs_confirmation", lambda *_: True)
    monkeypatch.setattr(registry.kinds()["gateway"], "confirm_callback", ask)
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 503
    assert stored() == []


def test_what_could_not_be_stored_is_not_acknowledged(
    http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(callback_inbox, "store", breaks)
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 503


def test_a_channel_that_cannot_be_made_asks_the_provider_to_come_again(http: FlaskClient, app: Flask) -> None:
    builders.channel(kind="pigeon", callback_token="tok-en")
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 503


# -- a backlog, and another address -------------------------------------------------------------------------------


def test_a_channel_with_too_long_a_backlog_is_told_to_come_again_and_others_are_heard(
    app: Flask, http: FlaskClient, gateway: ChannelRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.channel(kind="gateway", callback_token="other", settings=gateway.settings)
    monkeypatch.setattr(callbacks, "FULL_SECONDS", -1.0)
    app.extensions[EXTENSION] = replace(settings(), CALLBACK_BACKLOG=3)
    assert [http.post("/callbacks/tok-en", data=b"x").status_code for _ in range(5)] == [200, 200, 200, 503, 503]
    answer = http.post("/callbacks/tok-en", data=b"x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert http.get("/callbacks/tok-en").status_code == 200, "a probe brings nothing"
    assert http.post("/callbacks/other", data=b"x").status_code == 200
    assert len(unread()) == 4
    consumer.apply_callbacks(clock.now())
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 200
    # and so is one whose bodies are too long together
    monkeypatch.setattr(callbacks, "BACKLOG_BYTES", 1)
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 503


@pytest.fixture
def moment(now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that goes on when told to; what is known of a token is looked up each time."""
    fake = FakeClock(now)
    monkeypatch.setattr(clock, "now", lambda: fake.now)
    monkeypatch.setattr(callback_addresses, "CALLED_SECONDS", -1.0)
    return fake


def test_an_old_address_is_taken_for_a_day_and_then_no_longer(
    http: FlaskClient, gateway: ChannelRow, moment: FakeClock
) -> None:
    new = callback_addresses.rotate(gateway.id, Actor("flask channels"), moment.now).rpartition("/")[2]
    assert new not in {"", "tok-en"}
    moment.forward(hours=23.9)
    assert [http.post(f"/callbacks/{token}", data=b"x").status_code for token in ("tok-en", new)] == [200, 200]
    moment.forward(hours=0.2)
    assert [http.post(f"/callbacks/{token}", data=b"x").status_code for token in ("tok-en", new)] == [404, 200]
    assert {row.channel_id for row in unread()} == {gateway.id}
    line = current_session().query(AuditEntry).filter_by(action="rotate_callback").one()
    assert (line.by, line.facts) == ("flask channels", {"name": gateway.name, "hours": 24})


def test_the_address_before_the_last_one_ends_at_once(
    http: FlaskClient, gateway: ChannelRow, moment: FakeClock
) -> None:
    first, second = (callback_addresses.rotate(gateway.id, Actor("a"), moment.now).rpartition("/")[2] for _ in range(2))
    taken = [http.post(f"/callbacks/{token}", data=b"x").status_code for token in ("tok-en", first, second)]
    assert taken == [404, 200, 200]


def test_providers_sign_the_old_address_as_long_as_they_call_it(
    http: FlaskClient, gateway: ChannelRow, moment: FakeClock, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        registry.kinds()["gateway"], "verify_callback", lambda _self, callback: seen.append(callback.url)
    )
    app.extensions[EXTENSION] = replace(settings(), PUBLIC_URL="https://sms.example.com")
    new = callback_addresses.rotate(gateway.id, Actor("a"), moment.now)
    for address in ("/callbacks/tok-en", f"/callbacks/{new.rpartition('/')[2]}"):
        assert http.post(address, data=b"x").status_code == 200
    assert seen == ["https://sms.example.com/callbacks/tok-en", new]


def test_administrators_see_and_change_the_address_and_operators_only_that_there_is_one(
    gateway: ChannelRow, moment: FakeClock, client: Pages
) -> None:
    olga, page = client.as_("operator"), client.as_("operator").get(f"/channels/{gateway.id}")
    assert "tok-en" not in str(page)
    assert "此通道已有接收回执和回复的地址" in page.get_text()
    olga.post(f"/channels/{gateway.id}/callback-address", 403)
    ada = client.as_("administrator")
    assert ada.get(f"/channels/{gateway.id}").value("#callback-url").endswith("/callbacks/tok-en")
    page = ada.post(f"/channels/{gateway.id}/callback-address")
    assert "tok-en" not in str(page), "it is known to whoever needs it, and may be to others"
    assert page.value("#callback-url").endswith(accounts.row(gateway.id).callback_token)
    assert "旧地址" in page.get_text()


def test_the_command_makes_a_new_address_and_may_end_the_old_one_at_once(
    http: FlaskClient, gateway: ChannelRow, moment: FakeClock, runner: FlaskCliRunner
) -> None:
    done = runner.invoke(args=["channels", "rotate-callback", gateway.name])
    assert done.exit_code == 0
    token = done.output.strip().rpartition("/")[2]
    assert http.post("/callbacks/tok-en", data=b"x").status_code == 200
    assert runner.invoke(args=["channels", "rotate-callback", gateway.name, "--at-once"]).exit_code == 0
    assert http.post(f"/callbacks/{token}", data=b"x").status_code == 404
    assert runner.invoke(args=["channels", "rotate-callback", "none"]).exit_code == 1
