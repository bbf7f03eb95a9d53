"""A campaign whose template its provider withdraws before the slot: from a sync over real HTTP to the accepted text.

The provider is a made-up account behind the real adapter of the kind that signs with an access key.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from flask import Flask

from config import Config
from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.domain.run import RunState
from smsapp.domain.sms_template import Audit, SyncFate
from smsapp.factory import create_app
from smsapp.services.channels import accounts, registry, validation
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports
from smsapp.services.sending import unfinished
from smsapp.services.templates import approvals, sms_templates, template_sync
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Run
from tests import builders
from tests.channels.wire import HERE, Provider, provider, run
from tests.engine import confirmed, funnel, the_run, work
from tests.fakes import FakeClock

ACTOR = Actor("olga")
SIGNATURE = "青禾商城"
PASSED = "AUDIT_STATE_PASS"


class Account:
    """A made-up account at the provider: what it lists, and what was sent through it."""

    def __init__(self) -> None:
        self.templates: list[dict[str, Any]] = [
            {"TemplateCode": "SMS_1", "TemplateName": "会员日", "TemplateContent": "会员日全场八折，拒收请回复R",
             "OuterTemplateType": 2, "AuditStatus": PASSED},
        ]  # fmt: skip
        self.signatures: list[dict[str, Any]] = [{"SignName": SIGNATURE, "AuditStatus": PASSED}]
        self.sent: list[str] = []

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        action = request.headers["x-acs-action"]
        if action.startswith("Send"):
            self.sent.append(body.decode())
            return web.json_response({"Code": "OK", "BizId": f"biz-{len(self.sent)}"})
        name, items = {
            "QuerySmsTemplateList": ("SmsTemplateList", self.templates),
            "QuerySmsSignList": ("SmsSignList", self.signatures),
        }[action]
        return web.json_response({"Code": "OK", name: items})


@contextmanager
def serving(account: Account) -> Iterator[str]:
    """Yield the address of the account's provider, answering on a thread of its own."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    servers: list[Provider] = []

    async def serve() -> None:
        async with provider(account.answer) as server:
            servers.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield servers[0].url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def kind() -> type[Channel]:
    return next(
        adapter
        for adapter in registry.kinds().values()
        if adapter.settings[0].name == "access_key_id" and adapter.lists_signatures
    )


def values(url: str) -> dict[str, str]:
    defaults = {setting.name: setting.default for setting in kind().settings}
    return defaults | {"access_key_id": "LTAI5tExample", "access_key_secret": "s3cr3t-of-a-test", "url": url}


def test_signatures_come_with_state_and_reason(tmp_path: Any) -> None:
    account = Account()
    account.signatures.append(
        {"SignName": "青禾", "AuditStatus": "AUDIT_STATE_NOT_PASS", "Reason": {"RejectInfo": "资质过期"}}
    )

    async def story() -> Any:
        async with provider(account.answer) as server, HttpClient(HERE) as http:
            return await kind()(values(server.url), tmp_path).list_signatures(http)

    assert [(signature.name, signature.audit, signature.reason) for signature in run(story())] == [
        (SIGNATURE, Audit.APPROVED, ""),
        ("青禾", Audit.REFUSED, "资质过期"),
    ]


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application, which may call this machine."""
    application = create_app(dataclasses.replace(config, ALLOWED_PRIVATE_HOSTS=HERE))
    with application.app_context():
        yield application
        db.session.remove()
        db.engine.dispose()


def test_a_campaign_whose_template_is_withdrawn_before_its_slot_is_held_and_sent_once_accepted(
    app: Flask, clock: FakeClock
) -> None:
    account = Account()
    with serving(account) as url:
        # given a channel whose provider listed one template, and a campaign confirmed with it
        channel_settings = validation.ChannelFields("云通道", values(url), quiet_from="00:00", quiet_until="00:00")
        channel_id = accounts.create(kind().kind, channel_settings, ACTOR, clock.now)
        assert template_sync.sync(channel_id, ACTOR, clock.now).counts[SyncFate.ADDED] == 1
        template = sms_templates.choices(channel_id)[0]
        assert (template.signature, template.purpose) == (SIGNATURE, "marketing")
        builders.contacts(3)
        campaign, run_id = confirmed(clock.now, channel_id=channel_id, template_id=template.id)

        # when the provider withdraws it before the slot
        listed, account.templates = account.templates, []
        clock.forward(minutes=5)
        assert [change.fate for change in template_sync.sync(channel_id, ACTOR, clock.now).changes] == [
            SyncFate.WITHDRAWN
        ]
        work(app, clock)

        # then nothing leaves, and the report shows what has changed
        assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, "template_withdrawn")
        difference = reports.report(campaign.id, None, clock.now).difference
        assert difference is not None
        assert (difference.audit, [problem.code for problem in difference.problems]) == (
            "withdrawn",
            ["template_not_approved_now"],
        )
        assert account.sent == []

        # when it is approved again with another text, a person reads the difference and accepts it
        account.templates = [{**listed[0], "TemplateContent": "会员日全场七折，拒收请回复R"}]
        clock.forward(minutes=5)
        template_sync.sync(channel_id, ACTOR, clock.now)
        difference = approvals.difference(current_session().get_one(Run, run_id, populate_existing=True))
        assert difference is not None
        assert [text for part, text in difference.pieces if part != "same"] == ["八", "七"]
        approvals.accept(run_id, difference.mark, ACTOR, clock.now)
        work(app, clock)

        # then everybody gets it
        assert funnel(run_id).accepted == 3
        assert len(account.sent) == 1
        assert unfinished.at_hand(None) == []
