"""Settings are judged by the code that uses them, and one channel whose settings are bad takes no page down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.services import channels
from smsapp.store.db import session
from tests import builders
from tests.pages import Pages
from tests.web.test_channels import filled

SMPP = {"address_": "smpps://smpp.example.com:2776", "system_id_": "me", "password_": "secret"}
AC = "AC" + "0" * 32


@pytest.mark.parametrize("kind", sorted(channels.kinds()))
@pytest.mark.parametrize("typed", ["1", "7", "1.5", "0.5", "1e2", "nan", "inf", "1e999", "-inf", "x", "1,5", ""])
def test_what_the_form_takes_the_adapter_can_read(kind: str, typed: str, tmp_path: Path) -> None:
    made_of = channels.kinds()[kind]
    for one in made_of.settings:
        if one.widget == "number" and one.problem(typed) is None:
            made_of({one.name: typed}, tmp_path)


@pytest.mark.parametrize("typed", ["nan", "inf", "1e999", "x"])
def test_what_is_no_number_is_refused_at_its_field(typed: str) -> None:
    for kind in channels.kinds().values():
        assert all(one.problem(typed) for one in kind.settings if one.widget == "number")


@pytest.mark.parametrize(("name", "stored"), [("in_flight", "1.5"), ("timeout", "nan")])
def test_one_channel_that_cannot_be_read_takes_no_page_down(
    name: str, stored: str, app: Flask, client: Pages, runner: FlaskCliRunner
) -> None:
    # given a channel whose settings no form of this version would take
    values = {one.name: one.default for one in channels.kinds()["gateway"].settings if not one.secret}
    row = builders.channel(kind="gateway", name="坏的", settings=values | {name: stored})
    ada = client.as_("administrator")
    for path in ("/templates/", "/channels/", f"/channels/{row.id}", f"/channels/{row.id}/edit", "/campaigns/new"):
        ada.get(path)
    # what is asked of it is answered with a sentence
    assert "坏的" in ada.post(f"/channels/{row.id}/check").said()
    said = runner.invoke(args=["channels", "check", "坏的"])
    assert said.exit_code == 1
    assert "Traceback" not in said.output
    assert runner.invoke(args=["doctor"]).exception is None or "坏的" in runner.invoke(args=["doctor"]).output


@pytest.mark.parametrize(
    ("kind", "typed", "place"),
    [
        ("twilio", {"account_sid_": "ACshort", "auth_token_": "t", "sender_": "MG1"}, "account_sid"),
        (
            "twilio",
            {"account_sid_": AC, "auth_token_": "t", "sender_": "1", "api_key_": "SKx", "api_secret_": "s"},
            "api_key",
        ),
        ("tencent", {"secret_id_": "i", "secret_key_": "k", "app_id_": "14000066zz"}, "app_id"),
        ("aliyun", {"access_key_id_": "i", "access_key_secret_": "k", "extension_": "12a"}, "extension"),
        ("smpp", SMPP | {"address_": "smpp://smpp.example.com:2775"}, "address"),
        ("smpp", SMPP | {"address_": "smpp://8.8.8.8:2775"}, "address"),
        ("gateway", {"url_": "http://sms.example.com/?to={to}"}, "url"),
        ("gateway", {"url_": "https://sms.example.com/", "check_url_": "http://sms.example.com/"}, "check_url"),
        ("lexintong", {"account_": "a", "password_": "p", "product_": "1", "url_": "http://api.example"}, "url"),
        ("aliyun", {"access_key_id_": "i", "access_key_secret_": "k", "url_": "http://sms.example"}, "url"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_saved(
    kind: str, typed: dict[str, Any], place: str, app: Flask, client: Pages
) -> None:
    ada = client.as_("administrator")
    sent = filled(ada.get(f"/channels/new/{kind}"))
    page = ada.post(f"/channels/new/{kind}", 422, **(sent | {"name_": "通道"} | typed))
    assert [one["id"] for one in page.select(".field-errors")] == [f"{place}-error"]


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("smpp", SMPP | {"address_": "smpp://smpp.example.com:2775", "plain_": "1"}),
        ("smpp", SMPP | {"address_": "smpp://127.0.0.1:2775"}),
        ("gateway", {"url_": "http://sms.example.com/?to={to}", "plain_http_": "1"}),
        ("lexintong", {"account_": "a", "password_": "p", "product_": "1"}),
    ],
)
def test_an_unencrypted_address_that_is_meant_is_saved(
    kind: str, typed: dict[str, Any], app: Flask, client: Pages
) -> None:
    ada = client.as_("administrator")
    sent = filled(ada.get(f"/channels/new/{kind}"))
    assert ada.post(f"/channels/new/{kind}", **(sent | {"name_": "通道"} | typed)).h1.get_text() == "通道"


def test_after_a_change_of_address_every_field_says_what_is_wrong(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    ada.post("/channels/new/smpp", **(filled(ada.get("/channels/new/smpp")) | SMPP | {"name_": "通道"}))
    row = channels.by_name("通道")
    again = filled(ada.get(f"/channels/{row.id}/edit"))
    page = ada.post(f"/channels/{row.id}/edit", 422, **(again | {"address_": "ftp://other.example:1"}))
    assert {one["id"] for one in page.select(".field-errors")} == {"address-error", "password-error"}
    session().expire_all()
    assert channels.row(row.id).settings["address"] == SMPP["address_"]


def test_the_documented_rate_is_filled_in(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    rates = {kind: ada.get(f"/channels/new/{kind}").select_one("#rate").get("value", "") for kind in channels.kinds()}
    assert rates.pop("aws_sns") == "20"
    assert set(rates.values()) == {""}
