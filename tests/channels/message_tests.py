"""A test message on accounts that take only approved templates: a template is chosen and filled in, and it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from aiohttp import web
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.errors import Refusal
from smsapp.services.channels import accounts, registry
from smsapp.services.channels.validation import ChannelFields
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestText
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.settings import EXTENSION
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import AuditEntry
from tests import builders
from tests.channels.wire import HERE, Provider, provider
from tests.pages import Pages

BY = Actor("flask test")
ARRIVED = ("SMS_1", "青禾商城", ["李雷", "3"])
"""Template code, signature and values, in order, as the provider gets them."""


@contextlib.contextmanager
def serving(app: Flask, answer: Callable[[web.Request, bytes], Awaitable[web.Response]]) -> Iterator[Provider]:
    """Run a provider on this machine, in a thread of its own: a test message is waited for."""
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
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


class MessageTestContract(ABC):
    """What a test message does on every kind that takes only approved templates."""

    kind: str
    text: str
    """A template with two variables: a name and a count."""
    names: tuple[str, str]

    @abstractmethod
    def settings(self, url: str) -> dict[str, str]:
        """Return the settings of an account at this address, without those that have a default."""

    @abstractmethod
    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        """Return the answer that takes the message."""

    @abstractmethod
    def carried(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, str, list[str]]:
        """Return code, signature and values of a request, after the vendor's own code has found it signed well."""

    def arrived(self, server: Provider) -> tuple[str, str, list[str]]:
        """Return what the one request carried."""
        ((_, path, body),) = server.requests
        return self.carried(path, body, server.headers[0])

    @pytest.fixture
    def server(self, app: Flask) -> Iterator[Provider]:
        async def answer(request: web.Request, body: bytes) -> web.Response:
            return self.accepts(request, body)

        with serving(app, answer) as running:
            yield running

    @pytest.fixture
    def row(self, server: Provider) -> ChannelRow:
        defaults = {setting.name: setting.default for setting in registry.kinds()[self.kind].settings}
        values = defaults | self.settings(server.url)
        return accounts.row(accounts.create(self.kind, ChannelFields("云通道", values), BY, clock.now()))

    @pytest.fixture
    def template(self, row: ChannelRow) -> SmsTemplate:
        return builders.template(row.id, code="SMS_1", text=self.text)

    def test_a_template_is_filled_in_and_arrives(
        self, row: ChannelRow, template: SmsTemplate, server: Provider
    ) -> None:
        values = dict(zip(self.names, ("李雷", "3"), strict=True))
        trial = channel_tests.test_send(
            row.id, "13800138000", TestText(template_id=template.id, values=values), BY, clock.now()
        )
        assert trial.ok
        assert self.arrived(server) == ARRIVED
        # and the audit log tells which text it was, without the text
        facts = current_session().query(AuditEntry).filter_by(action="test_send").one().facts
        assert facts["template"] == "SMS_1"
        assert facts["digest"] == channel_tests.digest("【青禾商城】李雷您好，您有3件商品待取。")
        assert "李雷" not in json.dumps(facts, ensure_ascii=False)

    def test_the_page_offers_approved_templates_and_asks_for_their_variables(
        self, row: ChannelRow, template: SmsTemplate, server: Provider, client: Pages
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
        assert page.texts("label[for=value_1], label[for=value_2]") == list(self.names)
        # and one value is missing
        page = olga.post(
            f"/channels/{row.id}/test", 422, number="13800138000", template=template.id, value_1="李雷", value_2=" "
        )
        assert page.value("#value_1") == "李雷"
        assert page.value("#value_2", "aria-invalid") == "true"
        assert not server.requests
        # then it arrives once all are there
        page = olga.post(
            f"/channels/{row.id}/test", number="13800138000", template=template.id, value_1="李雷", value_2="3"
        )
        assert "服务商已接受这条短信" in page.said()
        assert self.arrived(server) == ARRIVED

    def test_a_channel_without_an_approved_template_says_so(
        self, row: ChannelRow, client: Pages, server: Provider
    ) -> None:
        page = client.as_("operator").get(f"/channels/{row.id}")
        assert "尚无已通过审核的模板" in page.get_text()
        assert not page.select("#number, #test-template")
        page = client.as_("operator").post(f"/channels/{row.id}/test", number="13800138000", text="您好")
        assert "请选择" in page.said()
        with pytest.raises(Refusal, match="test_template_missing"):
            channel_tests.test_send(row.id, "13800138000", TestText("您好"), BY, clock.now())
        assert not server.requests

    def test_the_command_sends_a_template(
        self, row: ChannelRow, template: SmsTemplate, server: Provider, runner: FlaskCliRunner
    ) -> None:
        first, second = self.names
        command = ["channels", "test", "云通道", "13800138000"]
        for wrong in ([], ["--template", "SMS_9"], ["--template", "SMS_1", "--value", f"{first}=李雷"]):
            assert runner.invoke(args=command + wrong).exit_code == 1
        for wrong in (["--value", "李雷"], ["--value", "other=3"]):
            done = runner.invoke(args=[*command, "--template", "SMS_1", "--value", f"{first}=李雷", *wrong])
            assert done.exit_code == 1
        assert not server.requests
        done = runner.invoke(
            args=[*command, "--template", "SMS_1", "--value", f"{first}=李雷", "--value", f"{second}=3"]
        )
        assert done.exit_code == 0, done.output
        assert self.arrived(server) == ARRIVED
