"""A made-up account at a provider whose kind signs with an access key: what it lists, and what was sent through it.

It answers real HTTP as the official SDK reads it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from flask import Flask

from config import Config
from smsapp.channels.contract import Channel
from smsapp.factory import create_app
from smsapp.services.channels import registry
from smsapp.store.db import db
from tests.channels.wire import HERE, Provider, provider

SIGNATURE = "青禾商城"
PASSED = "AUDIT_STATE_PASS"


class Account:
    """What the provider and the carriers say of a template and a signature, and the texts that were sent."""

    def __init__(self) -> None:
        self.templates: list[dict[str, Any]] = [
            {"TemplateCode": "SMS_1", "TemplateName": "会员日", "TemplateContent": "会员日全场八折，拒收请回复R",
             "OuterTemplateType": 2, "AuditStatus": PASSED},
        ]  # fmt: skip
        self.signatures: list[dict[str, Any]] = [{"SignName": SIGNATURE, "AuditStatus": PASSED}]
        self.states = {"mobile": 3, "unicom": 3, "telecom": 1}
        self.silent = False
        """Whether it says nothing of registrations."""
        self.sent: list[str] = []

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        action = request.headers["x-acs-action"]
        if action.startswith("Send"):
            self.sent.append(f"{request.query_string} {body.decode()}")
            return web.json_response({"Code": "OK", "BizId": f"biz-{len(self.sent)}"})
        if action == "GetSmsSign":
            if self.silent:
                return web.json_response({"Code": "isp.RAM_PERMISSION_DENY"})
            details = [{"OperatorCode": code, "RegisterStatus": state} for code, state in self.states.items()]
            return web.json_response({"Code": "OK", "SignIspRegisterDetailList": details})
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


@contextmanager
def calling(config: Config) -> Iterator[Flask]:
    """The application, which may call this machine, while the block lasts."""
    application = create_app(dataclasses.replace(config, ALLOWED_PRIVATE_HOSTS=HERE))
    with application.app_context():
        yield application
        db.session.remove()
        db.engine.dispose()
