"""An administrator connects providers, tries them out, and takes them away again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.services.channels import accounts, registry
from smsapp.services.platform import clock
from smsapp.store.channels.held_connections import Connection
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders
from tests.pages import Page, Pages

SIMULATOR: dict[str, Any] = {
    "name": "演练",
    "phone_property": "$phone",
    "quiet_from": "21:00",
    "quiet_until": "08:00",
    "currency": "CNY",
    "refused": "0",
    "answer_seconds": "0",
    "per_request": "100",
    "undelivered": "0",
    "silent": "0",
    "receipt_seconds": "0",
    "receipt_spread": "0",
    "opt_outs": "0",
    "seed": "1",
}


def filled(page: Page) -> dict[str, Any]:
    """Return what a browser would send of the page's channel form, each name with the `_` that the client takes off."""
    form = page.first("form[autocomplete=off]")
    sent: dict[str, Any] = {}
    for control in form.select("input, select, textarea"):
        name = str(control.get("name", "")) + "_"
        if name in {"_", "csrf_token_"} or (control.get("type") == "checkbox" and not control.has_attr("checked")):
            continue
        if control.name == "select":
            chosen = control.select_one("option[selected]") or control.select_one("option")
            assert chosen is not None, f"{name} offers nothing"
            sent[name] = chosen["value"]
        elif control.name == "textarea":
            sent[name] = control.get_text().removeprefix("\r\n").removeprefix("\n")
        else:
            sent[name] = control.get("value", "")
    return sent


def test_the_form_names_the_country_of_national_numbers(client: Pages) -> None:
    page = client.as_("administrator", "en").get("/channels/new/gateway")
    assert "Empty: CN." in page.get_text()


def test_the_property_that_holds_the_phone_is_called_as_people_call_it(app: Flask, client: Pages) -> None:
    builders.known_property("mobile2", label="备用手机")
    builders.known_property("work")
    page = client.as_("administrator", "en").get("/channels/new/simulator")
    assert {"Phone number ($phone)", "备用手机 (mobile2)", "work"} <= set(page.texts("#phone_property option"))


def test_an_administrator_connects_the_simulator_and_sends_a_test_message(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    assert "接入配置" in ada.get("/channels/").get_text()
    page = ada.post("/channels/new/simulator", **SIMULATOR)
    assert page.first("h1").get_text() == "演练"
    row = accounts.by_name("演练")
    assert row.kind == "simulator"
    assert page.select_one("#callback-url") is None, "nobody calls back from outside"

    page = ada.post(f"/channels/{row.id}/check")
    assert "绑定测试通过" in page.said()
    page = ada.post(f"/channels/{row.id}/test", number="13800138000", text="【演练】您好")
    assert "服务商已接受这条短信" in page.said()
    page = ada.post(f"/channels/{row.id}/test", number="+8613800000101", text="【演练】您好")
    assert "服务商拒绝了这条短信" in page.said()
    assert "SIM-BAD_NUMBER" in page.said()
    page = ada.post(f"/channels/{row.id}/test", number="+8613800000322", text="【演练】您好")
    assert "短信可能已发送" in page.said()


PLAIN = [name for name, kind in registry.kinds().items() if name != "gateway" and not kind.holds_connection]
"""Kinds whose addresses have a default; those of gateways and held connections depend on the house."""


@pytest.mark.parametrize("kind", PLAIN)
def test_every_kind_can_be_connected_by_what_its_form_asks_for(kind: str, app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    sent = filled(ada.get(f"/channels/new/{kind}"))
    required = {setting.name for setting in registry.kinds()[kind].settings if setting.required}
    typed = {"address": "smpps://smpp.example.com:2776", "account_sid": "AC" + "0" * 32}
    sent |= {f"{name}_": typed.get(name, "12345") for name in required if not sent[f"{name}_"]}
    page = ada.post(f"/channels/new/{kind}", **(sent | {"name_": "新通道"}))
    assert page.first("h1").get_text() == "新通道"
    row = accounts.by_name("新通道")
    assert row.kind == kind
    address = page.select_one("#callback-url")
    assert (address is None) is (registry.needs_holder(row) or not registry.kinds()[kind].shows_callback)
    assert address is None or str(address["value"]).endswith(f"/callbacks/{row.callback_token}")
    assert accounts.adapter(row.id).kind == kind


def test_a_test_message_needs_a_number_and_a_text_and_keeps_what_was_typed(app: Flask, client: Pages) -> None:
    row = builders.channel()
    page = client.as_("operator").post(f"/channels/{row.id}/test", 422, number="12", text="")
    assert "无法识别出手机号码" in page.said()
    assert "请填写要发送的内容" in page.said()
    assert page.value("#number") == "12"


def test_bad_settings_come_back_with_a_sentence_at_each_field(app: Flask, client: Pages) -> None:
    page = client.as_("administrator").post(
        "/channels/new/gateway",
        422,
        **{
            **SIMULATOR,
            "name": "",
            "rate": "0",
            "quiet_from": "25:00",
            "price": "-1",
            "currency": "RMBY",
            "method": "POST",
            "body_format": "none",
            "charset": "utf-8",
            "number_format": "digits",
            "receipt_format": "parameters",
            "per_request": "many",
            "max_concurrency": "1000",
            "timeout": "",
            "url_": "",
        },
    )
    wrong = {str(element["id"]).removesuffix("-error") for element in page.select(".field-errors")}
    assert wrong == {
        "name", "rate", "quiet_from", "price", "currency", "per_request", "max_concurrency", "timeout", "url",
    }  # fmt: skip
    page = client.as_("administrator").post(
        "/channels/new/gateway",
        422,
        **(
            filled(client.as_("administrator").get("/channels/new/gateway?preset=kannel"))
            | {"name_": "K", "rules_": "x"}
        ),
    )
    assert [element["id"] for element in page.select(".field-errors")] == ["rules-error"]
    assert "x" in page.said()


@pytest.mark.parametrize("preset", ["kannel", "jasmin"])
def test_a_preset_fills_the_form_and_secrets_are_write_only(preset: str, app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    given = filled(ada.get(f"/channels/new/gateway?preset={preset}"))
    ada.post("/channels/new/gateway", **(given | {"name_": "网关", "password_": "topsecret", "username_": "tester"}))
    row = accounts.by_name("网关")
    assert "topsecret" not in repr(row.settings)
    assert b"topsecret" not in row.secrets
    assert accounts.adapter(row.id).values["password"] == "topsecret"

    page = ada.get(f"/channels/{row.id}/edit")
    assert "topsecret" not in page.response.get_data(as_text=True)
    again = filled(page)
    assert again["password_"] == ""
    assert {name: value for name, value in again.items() if name not in {"name_", "password_", "username_"}} == {
        name: value for name, value in given.items() if name not in {"name_", "password_", "username_"}
    }
    ada.post(f"/channels/{row.id}/edit", **(again | {"sender_": "10690001"}))
    current_session().expire_all()
    assert accounts.adapter(row.id).values["password"] == "topsecret"
    assert accounts.adapter(row.id).values["sender"] == "10690001"
    facts = [line.facts for line in current_session().query(AuditEntry).filter_by(noun="channel", action="edit")]
    assert facts == [{"name": "网关", "changed": ["sender"]}]


def test_another_host_asks_for_the_secrets_again_and_keeps_what_was_typed(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    given = filled(ada.get("/channels/new/gateway?preset=kannel"))
    ada.post("/channels/new/gateway", **(given | {"name_": "网关", "password_": "topsecret", "username_": "tester"}))
    row = accounts.by_name("网关")
    again = filled(ada.get(f"/channels/{row.id}/edit"))
    moved = again["url_"].replace("127.0.0.1", "sms.example")
    assert moved != again["url_"]

    page = ada.post(f"/channels/{row.id}/edit", 422, **(again | {"url_": moved}))

    assert {element["id"] for element in page.select(".field-errors")} == {"url-error", "password-error"}
    assert "sms.example" in page.said()
    assert filled(page)["url_"] == moved
    current_session().expire_all()
    assert "sms.example" not in accounts.row(row.id).settings["url"]


def test_an_unreachable_gateway_is_told_in_words(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    given = filled(ada.get("/channels/new/gateway?preset=kannel"))
    ada.post("/channels/new/gateway", **(given | {"name_": "网关"}))
    row = accounts.by_name("网关")
    page = ada.post(f"/channels/{row.id}/check")
    assert "ALLOWED_PRIVATE_HOSTS" in page.said()
    assert "配置被拒" in ada.get("/channels/").get_text()


def test_a_channel_is_switched_off_and_on(app: Flask, client: Pages) -> None:
    row = builders.channel(name="演练")
    ada = client.as_("administrator")
    page = ada.post(f"/channels/{row.id}/active", active="")
    assert "此通道已停用" in page.said()
    assert accounts.choices() == []
    ada.post(f"/channels/{row.id}/active", active="1")
    current_session().expire_all()
    assert [channel.id for channel in accounts.choices()] == [row.id]


def test_a_channel_is_deleted_only_if_nothing_was_ever_done_with_it(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator")
    used, unused = builders.channel(name="用过").id, builders.channel(name="没用过").id
    builders.template(used)
    assert not ada.get(f"/channels/{used}").select(f'a[href="/channels/{used}/delete"]')
    assert "需要保留" in ada.post(f"/channels/{used}/delete").said()
    assert ada.get(f"/channels/{unused}").select(f'a[href="/channels/{unused}/delete"]')
    assert "没用过" in ada.get(f"/channels/{unused}/delete").get_text()
    ada.post(f"/channels/{unused}/delete")
    assert [row.name for row in accounts.everything()] == ["用过"]
    ada.post(f"/channels/{unused}/delete", 404)


def test_a_channel_with_a_held_connection_tells_how_it_stands_instead_of_a_callback_address(
    app: Flask, client: Pages
) -> None:
    moment = clock.now()
    row = builders.channel(kind="smpp", settings={"address": "smpp://127.0.0.1:1", "system_id": "shop"})
    ada = client.as_("administrator")

    def said(up: bool, outcome: str = "", code: str = "") -> str:
        until = moment + dt.timedelta(hours=1)
        builders.kept(Connection(channel_id=row.id, holder="me", until=until, made_for=row.updated_at, up=up,
                                 outcome=outcome, code=code))  # fmt: skip
        text = ada.get(f"/channels/{row.id}").get_text()
        current_session().execute(sa.delete(Connection))
        current_session().commit()
        return text

    page = ada.get(f"/channels/{row.id}")
    assert "没有进程保持该连接" in page.get_text()
    assert page.select_one("#callback-url") is None
    assert "正在建立" in said(False)
    assert "0x0000000e" in said(False, "credentials", "0x0000000e")
    assert "没有进程保持该连接" not in said(True)


def test_roles_decide_who_sees_and_changes_channels(app: Flask, client: Pages) -> None:
    row = builders.channel()
    client.as_("viewer").get("/channels/", 403)
    olga = client.as_("operator")
    page = olga.get(f"/channels/{row.id}")
    assert not page.select('form[action$="/check"]')
    olga.get("/channels/new/simulator", 403)
    olga.post(f"/channels/{row.id}/check", 403)
    olga.post(f"/channels/{row.id}/active", 403, active="")


def test_a_kind_nobody_has_heard_of_is_not_found(app: Flask, client: Pages) -> None:
    client.as_("administrator").get("/channels/new/pigeon", 404)
    row = builders.channel(kind="pigeon")
    assert "pigeon" in client.as_("administrator").get(f"/channels/{row.id}").get_text()
    assert "pigeon" in client.as_("administrator").post(f"/channels/{row.id}/check").said()


def test_the_pages_exist_in_english(app: Flask, client: Pages) -> None:
    row = builders.channel()
    ada = client.as_("administrator", locale="en")
    assert "Integrations" in ada.get("/channels/").get_text()
    assert "Test the account" in ada.get(f"/channels/{row.id}").get_text()
    assert "Simulator" in ada.get("/channels/new/simulator").get_text()


def test_an_administrator_chooses_the_text_that_confirms_opt_outs(client: Pages) -> None:
    row = builders.channel()
    template = builders.template(row.id, name="退订确认")
    page = client.as_("administrator", "en").post(f"/channels/{row.id}/confirmation", template=template.id)
    assert "The channel was saved." in page.said()
    assert page.select("select[name=template] option[selected]")[0].text.startswith("退订确认")


def test_a_channel_says_which_countries_and_kinds_of_numbers_it_writes_to(app: Flask, client: Pages) -> None:
    # given a form that begins with what is usual for the kind
    ada = client.as_("administrator", "en")
    assert ada.get("/channels/new/smpp").value("#countries") == "CN"
    assert ada.get("/channels/new/simulator").value("#countries") == ""
    # when countries and a kind of number are allowed, one of them mistyped at first
    chosen = SIMULATOR | {"countries": "CN，HK 中国", "number_classes": "premium", "country": "CN"}
    page = ada.post("/channels/new/simulator", 422, **chosen)
    assert "“中国” names no country" in page.get_text()
    assert page.value("#countries") == "CN，HK 中国"
    page = ada.post("/channels/new/simulator", **chosen | {"countries": "CN，+852"})
    # then it is kept, shown, and holds for test messages too
    row = accounts.by_name("演练")
    assert (row.countries, row.number_classes, row.country) == (["CN", "HK"], ["premium"], "CN")
    assert "China (CN), Hong Kong SAR China (HK), mobile numbers, Premium rate" in page.get_text()
    assert filled(ada.get(f"/channels/{row.id}/edit"))["countries_"] == "CN HK"
    page = ada.post(f"/channels/{row.id}/test", 422, number="+44 7911 123456", text="Hello")
    assert "does not write to numbers of this kind or country" in page.get_text()
    page = ada.post(f"/channels/{row.id}/test", 422, number="13491234567", text="卫星")
    assert "does not write to numbers of this kind or country" in page.get_text()
