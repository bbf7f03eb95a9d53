"""Tencent Cloud SMS lists its templates and signatures: all of them, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from smsapp.channels.errors import ChannelError, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.types import ProviderTemplate
from smsapp.domain.sms_template import Audit
from tests.channels.contract import SIGNATURE
from tests.channels.test_tencent import TestTencent as Made
from tests.channels.test_tencent import response
from tests.channels.wire import HERE, Provider, provider, run


async def listed(folder: Path, answer: Callable[[int, int], Any]) -> tuple[Any, Provider]:
    async def reply(_request: web.Request, body: bytes) -> web.Response:
        asked = json.loads(body)
        return response(DescribeTemplateStatusSet=answer(asked["International"], asked["Offset"]))

    async with provider(reply) as server, HttpClient(HERE) as http:
        try:
            return await Made().make(server.url, folder).list_templates(http), server
        except ChannelError as trouble:
            return trouble, server


def test_templates_come_with_state_and_reason(tmp_path: Path) -> None:
    items = [
        {
            "TemplateId": 1,
            "StatusCode": 0,
            "TemplateName": "会员日",
            "TemplateContent": "{1}，会员日到了",
            "ReviewReply": "好",
        },
        {"TemplateId": 2, "StatusCode": 2},
        {"TemplateId": 3, "StatusCode": 1},
        {"TemplateId": 4, "StatusCode": -1, "ReviewReply": "缺少退订"},
        {"TemplateId": 5, "StatusCode": 7},
    ]
    templates, server = run(listed(tmp_path, lambda abroad, _: items[:1] if abroad else items))
    assert templates == [
        ProviderTemplate("1", "会员日", "{1}，会员日到了", Audit.APPROVED),
        ProviderTemplate("2", "", "", Audit.PENDING),
        ProviderTemplate("3", "", "", Audit.PENDING),
        ProviderTemplate("4", "", "", Audit.REFUSED, reason="缺少退订"),
        ProviderTemplate("5", "", "", Audit.PENDING),
    ]
    assert [headers["X-TC-Action"] for headers in server.headers] == ["DescribeSmsTemplateList"] * 2


def test_every_page_of_templates_is_fetched(tmp_path: Path) -> None:
    def answer(abroad: int, offset: int) -> Any:
        return [] if abroad else [{"TemplateId": n} for n in range(offset + 1, min(offset + 101, 151))]

    templates, server = run(listed(tmp_path, answer))
    assert [template.code for template in templates] == [str(n) for n in range(1, 151)]
    assert len(server.requests) == 3


@pytest.mark.parametrize("page", [None, ["x"], [{"TemplateName": "?"}]])
def test_a_list_that_cannot_be_read_is_an_error_and_not_a_shorter_list(page: Any, tmp_path: Path) -> None:
    assert isinstance(run(listed(tmp_path, lambda *_: page))[0], OutcomeUnknown)


def test_signatures_come_with_state_and_reason(tmp_path: Path) -> None:
    refused = {"SignName": "青禾", "StatusCode": -1, "ReviewReply": "资质过期"}

    async def reply(_request: web.Request, body: bytes) -> web.Response:
        items = [{"SignName": SIGNATURE, "StatusCode": 0}, refused]
        return response(DescribeSignListStatusSet=[] if json.loads(body)["International"] else items)

    async def story() -> Any:
        async with provider(reply) as server, HttpClient(HERE) as http:
            return await Made().make(server.url, tmp_path).list_signatures(http)

    signatures = [(signature.name, signature.audit, signature.reason) for signature in run(story())]
    assert signatures == [(SIGNATURE, Audit.APPROVED, ""), ("青禾", Audit.REFUSED, "资质过期")]
