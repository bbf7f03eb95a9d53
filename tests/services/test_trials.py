"""A test message on accounts that take only approved templates: a template is chosen and filled in, and it arrives."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from alibabacloud_tea_openapi.utils import Utils
from flask import Flask
from flask.testing import FlaskCliRunner
from tencentcloud.common.credential import Credential
from tencentcloud.sms.v20210111.sms_client import SmsClient

from smsapp.domain.errors import Refusal
from smsapp.services import channels, clock, trials
from smsapp.services.channels import Wanted
from smsapp.services.trail import Actor
from smsapp.services.trials import TrialText
from smsapp.store.channels import ChannelRow
from smsapp.store.db import session
from smsapp.store.people import Trail
from smsapp.store.settings import EXTENSION
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.channels.wire import HERE, Provider, provider
from tests.pages import Pages

BY = Actor("flask test")
KEY, PASSWORD = "key-id", "only for tests"
ARRIVED = ("SMS_1", "青禾商城", ["李雷", "3"])
"""Template code, signature and values, in order, as the provider gets them."""


async def answer(request: web.Request, body: bytes) -> web.Response:
    """Take every message, as Alibaba Cloud (query) or Tencent Cloud (document) would."""
    if request.query_string:
        return web.json_response({"Code": "OK", "Message": "OK", "BizId": "9^0", "RequestId": "F6"})
    numbers = json.loads(body)["PhoneNumberSet"]
    taken = [{"SerialNo": "2019:1", "PhoneNumber": number, "Code": "Ok", "Fee": 1} for number in numbers]
    return web.json_response({"Response": {"SendStatusSet": taken, "RequestId": "a0"}})


@pytest.fixture
def server(app: Flask) -> Iterator[Provider]:
    """A provider on this machine, in a thread of its own: a test message is waited for."""
    app.extensions[EXTENSION] = replace(app.extensions[EXTENSION], ALLOWED_PRIVATE_HOSTS=HERE)
    ready, over = threading.Event(), asyncio.Event()
    made: list[Provider] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with provider(answer) as running:
            made.append(running)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield made[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.fixture(params=["aliyun", "tencent"])
def row(request: pytest.FixtureRequest, server: Provider) -> ChannelRow:
    kind = channels.kinds()[request.param]
    names = {"access_key_id": KEY, "access_key_secret": PASSWORD, "secret_id": KEY, "secret_key": PASSWORD}
    values = {one.name: one.default for one in kind.settings} | {"url": server.url, "app_id": "1400006666"} | names
    own = {name: value for name, value in values.items() if name in {one.name for one in kind.settings}}
    return channels.row(channels.create(kind.kind, Wanted("云通道", own), BY, clock.now()))


@pytest.fixture
def template(row: ChannelRow) -> SmsTemplate:
    text = {"aliyun": "${name}您好，您有${n}件商品待取。", "tencent": "{1}您好，您有{2}件商品待取。"}[row.kind]
    return builders.template(row.id, code="SMS_1", text=text)


def names(row: ChannelRow) -> tuple[str, str]:
    return ("name", "n") if row.kind == "aliyun" else ("1", "2")


def arrived(row: ChannelRow, server: Provider) -> tuple[str, str, list[str]]:
    """Return what the one request carried, after the vendor's own code has found its signature good."""
    assert len(server.requests) == 1
    _, path, body = server.requests[0]
    headers = {name.lower(): value for name, value in server.headers[0].items()}
    if row.kind == "aliyun":
        query = dict(parse_qsl(urlsplit(path).query, strict_parsing=True))
        signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        request = SimpleNamespace(
            method="POST", pathname="/", query=query, headers={name: headers[name] for name in signed}
        )
        digest = Utils.hex_encode(Utils.hash(body, "ACS3-HMAC-SHA256"))
        ours = Utils.get_authorization(request, "ACS3-HMAC-SHA256", digest, KEY, PASSWORD)
        assert headers["authorization"] == ours
        values = json.loads(query["TemplateParam"])
        return query["TemplateCode"], query["SignName"], [values["name"], values["n"]]
    credential, _, signature = headers["authorization"].partition(" ")[2].split(", ")
    request = SimpleNamespace(method="POST", uri="/", data=body, header=server.headers[0])
    client = SmsClient(Credential(KEY, PASSWORD), "ap-guangzhou")
    wanted = client._get_tc3_signature({}, request, credential.split("/")[1], "sms", PASSWORD)
    assert signature == f"Signature={wanted}"
    document = json.loads(body)
    return document["TemplateId"], document["SignName"], document["TemplateParamSet"]


def test_a_template_is_filled_in_and_arrives(row: ChannelRow, template: SmsTemplate, server: Provider) -> None:
    values = dict(zip(names(row), ("李雷", "3"), strict=True))
    trial = trials.test_send(row.id, "13800138000", TrialText(template_id=template.id, values=values), BY, clock.now())
    assert trial.ok
    assert arrived(row, server) == ARRIVED
    # and the audit log tells which text it was, without the text
    facts = session().query(Trail).filter_by(action="test_send").one().facts
    assert facts["template"] == "SMS_1"
    assert facts["digest"] == trials.digest("【青禾商城】李雷您好，您有3件商品待取。")
    assert "李雷" not in json.dumps(facts, ensure_ascii=False)


def test_the_page_offers_approved_templates_and_asks_for_their_variables(
    row: ChannelRow, template: SmsTemplate, server: Provider, client: Pages
) -> None:
    # given a template of another channel, and one that is not approved
    other, pending = builders.template(builders.channel().id), builders.template(row.id, audit="pending")
    olga = client.as_("operator")
    page = olga.get(f"/channels/{row.id}")
    offered = {option["value"] for option in page.select("#test-template option")}
    assert offered == {"", str(template.id)}
    assert not {str(other.id), str(pending.id)} & offered
    assert not page.select("#number"), "there is nothing to send yet"
    # when it is chosen
    page = olga.get(f"/channels/{row.id}?template={template.id}")
    assert page.texts("label[for=value_1], label[for=value_2]") == list(names(row))
    # and one value is missing
    page = olga.post(
        f"/channels/{row.id}/test", 422, number="13800138000", template=template.id, value_1="李雷", value_2=" "
    )
    assert page.select_one("#value_1")["value"] == "李雷"
    assert page.select_one("#value_2")["aria-invalid"] == "true"
    assert not server.requests
    # then it arrives once all are there
    page = olga.post(
        f"/channels/{row.id}/test", number="13800138000", template=template.id, value_1="李雷", value_2="3"
    )
    assert "服务商已接受这条短信" in page.said()
    assert arrived(row, server) == ARRIVED


def test_a_channel_without_an_approved_template_says_so(row: ChannelRow, client: Pages, server: Provider) -> None:
    page = client.as_("operator").get(f"/channels/{row.id}")
    assert "尚无已通过审核的模板" in page.get_text()
    assert not page.select("#number, #test-template")
    page = client.as_("operator").post(f"/channels/{row.id}/test", number="13800138000", text="您好")
    assert "请选择" in page.said()
    with pytest.raises(Refusal, match="test_template_missing"):
        trials.test_send(row.id, "13800138000", TrialText("您好"), BY, clock.now())
    assert not server.requests


def test_the_command_sends_a_template(
    row: ChannelRow, template: SmsTemplate, server: Provider, runner: FlaskCliRunner
) -> None:
    first, second = names(row)
    command = ["channels", "test", "云通道", "13800138000"]
    for wrong in ([], ["--template", "SMS_9"], ["--template", "SMS_1", "--value", f"{first}=李雷"]):
        assert runner.invoke(args=command + wrong).exit_code == 1
    for wrong in (["--value", "李雷"], ["--value", "other=3"]):
        done = runner.invoke(args=[*command, "--template", "SMS_1", "--value", f"{first}=李雷", *wrong])
        assert done.exit_code == 1
    assert not server.requests
    done = runner.invoke(args=[*command, "--template", "SMS_1", "--value", f"{first}=李雷", "--value", f"{second}=3"])
    assert done.exit_code == 0, done.output
    assert arrived(row, server) == ARRIVED


@pytest.mark.parametrize(
    ("url", "bound"),
    [
        ("https://x.example/?tpl={template_code}&to={to}", True),
        ("https://x.example/?tpl={template_code}&t={text}", False),
        ("https://x.example/?t={text_hex}", False),
    ],
)
def test_a_gateway_that_names_a_template_and_no_text_needs_one(app: Flask, url: str, bound: bool) -> None:
    values = {one.name: one.default for one in channels.kinds()["gateway"].settings} | {"url": url, "body": ""}
    row = builders.channel(kind="gateway", settings=values)
    assert channels.needs_template(row) is bound
