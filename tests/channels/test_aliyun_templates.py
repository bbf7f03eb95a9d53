"""Alibaba Cloud SMS lists its templates: all of them, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from smsapp.channels.errors import ChannelError, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.types import ProviderTemplate
from smsapp.domain.sms_template import Audit, Purpose
from tests.channels.contract import SIGNATURE
from tests.channels.test_aliyun import TestAliyun as Made
from tests.channels.wire import HERE, Provider, provider, run


async def listed(folder: Path, answer: Callable[[int], Any]) -> tuple[Any, Provider]:
    async def reply(request: web.Request, _body: bytes) -> web.Response:
        return web.json_response({"Code": "OK", "SmsTemplateList": answer(int(request.query["PageIndex"]))})

    async with provider(reply) as server, HttpClient(HERE) as http:
        try:
            return await Made().make(server.url, folder).list_templates(http), server
        except ChannelError as error:
            return error, server


def test_templates_come_with_purpose_state_and_reason(tmp_path: Path) -> None:
    items = [
        {
            "TemplateCode": "SMS_1",
            "TemplateName": "会员日",
            "TemplateContent": "${name}，会员日到了，拒收请回复R",
            "TemplateType": 1,
            "OuterTemplateType": 2,
            "AuditStatus": "AUDIT_STATE_PASS",
            "SignatureName": SIGNATURE,
            "Reason": {"RejectInfo": "NO REASON"},
        },
        {
            "TemplateCode": "SMS_2",
            "TemplateName": "验证码",
            "OuterTemplateType": 0,
            "AuditStatus": "AUDIT_STATE_NOT_PASS",
            "Reason": {"RejectInfo": "缺少用途", "RejectSubInfo": "请补充"},
        },
        {"TemplateCode": "SMS_3", "OuterTemplateType": 1, "AuditStatus": "AUDIT_STATE_INIT"},
        {"TemplateCode": "SMS_4", "OuterTemplateType": 3, "AuditStatus": "AUDIT_SATE_CANCEL", "Reason": "撤回"},
        {"TemplateCode": "SMS_5", "AuditStatus": "BRAND_NEW"},
    ]
    templates, server = run(listed(tmp_path, lambda _: items))
    assert templates == [
        ProviderTemplate(
            "SMS_1", "会员日", "${name}，会员日到了，拒收请回复R", Audit.APPROVED, Purpose.MARKETING, SIGNATURE
        ),
        ProviderTemplate("SMS_2", "验证码", "", Audit.REFUSED, Purpose.VERIFICATION, "", "缺少用途 请补充"),
        ProviderTemplate("SMS_3", "", "", Audit.PENDING, Purpose.NOTIFICATION),
        ProviderTemplate("SMS_4", "", "", Audit.REFUSED, None, "", "撤回"),
        ProviderTemplate("SMS_5", "", "", Audit.PENDING),
    ]
    assert server.headers[0]["x-acs-action"] == "QuerySmsTemplateList"


def test_every_page_of_templates_is_fetched_and_none_counts_twice(tmp_path: Path) -> None:
    def answer(page: int) -> Any:
        return [{"TemplateCode": f"SMS_{n}"} for n in range(0 if page == 1 else 49, 50 if page == 1 else 60)]

    templates, server = run(listed(tmp_path, answer))
    assert [template.code for template in templates] == [f"SMS_{n}" for n in range(60)]
    assert len(server.requests) == 2


@pytest.mark.parametrize("page", [None, ["x"], [{"TemplateName": "?"}]])
def test_a_list_that_cannot_be_read_is_an_error_and_not_a_shorter_list(page: Any, tmp_path: Path) -> None:
    assert isinstance(run(listed(tmp_path, lambda _: page))[0], OutcomeUnknown)
