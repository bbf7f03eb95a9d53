"""Settings are judged by the code that uses them, and one channel whose settings are bad takes no page down."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.services.channels import accounts, registry
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Pages
from tests.web.test_channels import filled

SMPP = {"address_": "smpps://smpp.example.com:2776", "system_id_": "me", "password_": "secret"}


@pytest.mark.parametrize("kind", sorted(registry.kinds()))
@pytest.mark.parametrize("typed", ["1", "7", "1.5", "0.5", "1e2", "nan", "inf", "1e999", "-inf", "x", "1,5", ""])
def test_what_the_form_takes_the_adapter_can_read(kind: str, typed: str, tmp_path: Path) -> None:
    made_of = registry.kinds()[kind]
    for setting in made_of.settings:
        if setting.widget == "number" and setting.problem(typed) is None:
            made_of({setting.name: typed}, tmp_path)


@pytest.mark.parametrize("typed", ["nan", "inf", "1e999", "x"])
def test_what_is_no_number_is_refused_at_its_field(typed: str) -> None:
    for kind in registry.kinds().values():
        assert all(setting.problem(typed) for setting in kind.settings if setting.widget == "number")


@pytest.mark.parametrize(("name", "stored"), [("max_concurrency", "1.5"), ("timeout", "nan")])
def test_one_channel_that_cannot_be_read_takes_no_page_down(
    name: str, stored: str, app: Flask, client: Pages, runner: FlaskCliRunner
) -> None:
    # given a channel whose settings no form of this version would take
    values = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings if not setting.secret}
    row = builders.channel(kind="gateway", name="坏的", settings=values | {name: stored})
    ada = client.as_("administrator")
    for path in ("/templates/", "/channels/", f"/channels/{row.id}", f"/channels/{row.id}/edit", "/campaigns/new"):
        ada.get(path)
    # what is asked of it is answered with a sentence
    assert "坏的" in ada.post(f"/channels/{row.id}/check").said()
    result = runner.invoke(args=["channels", "check", "坏的"])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert runner.invoke(args=["doctor"]).exception is None or "坏的" in runner.invoke(args=["doctor"]).output


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("smpp://smpp.example.com:2775", True),
        ("smpp://8.8.8.8:2775", True),
        ("smpp://127.0.0.1:2775", False),
        ("smpps://smpp.example.com:2775", False),
    ],
)
@pytest.mark.parametrize("meant", ["", "1"])
def test_an_unencrypted_address_of_a_public_host_is_saved_only_if_it_is_meant(
    address: str, refused: bool, meant: str, app: Flask, client: Pages
) -> None:
    ada = client.as_("administrator")
    sent = filled(ada.get("/channels/new/smpp")) | SMPP | {"name_": "通道", "address_": address, "plain_": meant}
    page = ada.post("/channels/new/smpp", 422 if refused and not meant else 200, **sent)
    assert [element["id"] for element in page.select(".field-errors")] == (
        ["address-error"] if refused and not meant else []
    )


@pytest.mark.parametrize("kind", [name for name, kind in registry.kinds().items() if not kind.holds_connection])
def test_an_http_address_of_a_public_host_is_refused_when_it_is_saved(kind: str, app: Flask, client: Pages) -> None:
    made_of = registry.kinds()[kind]
    ada = client.as_("administrator")
    sent = filled(ada.get(f"/channels/new/{kind}"))
    for place in ("url", "check_url"):
        if place in {setting.name for setting in made_of.settings}:
            page = ada.post(f"/channels/new/{kind}", 422, **(sent | {f"{place}_": "http://sms.example.com/"}))
            assert "ALLOWED_PRIVATE_HOSTS" in page.first(f"#{place}-error").get_text()


def test_after_a_change_of_address_every_field_says_what_is_wrong(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    ada.post("/channels/new/smpp", **(filled(ada.get("/channels/new/smpp")) | SMPP | {"name_": "通道"}))
    row = accounts.by_name("通道")
    again = filled(ada.get(f"/channels/{row.id}/edit"))
    page = ada.post(f"/channels/{row.id}/edit", 422, **(again | {"address_": "ftp://other.example:1"}))
    assert {element["id"] for element in page.select(".field-errors")} == {"address-error", "password-error"}
    current_session().expire_all()
    assert accounts.row(row.id).settings["address"] == SMPP["address_"]


def test_the_documented_rate_is_filled_in(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    rates = {kind: ada.get(f"/channels/new/{kind}").first("#rate").get("value", "") for kind in registry.kinds()}
    assert rates == {name: str(kind.documented_rate or "") for name, kind in registry.kinds().items()}
    assert "20" in rates.values()
