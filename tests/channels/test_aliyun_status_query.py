"""Alibaba Cloud SMS is asked about messages whose answer was lost: our reference decides, else template, text, time."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from smsapp.channels._signed_ref import sign_ref
from smsapp.channels.errors import Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import OutboundMessage, Receipt, ReceiptStatus, UnconfirmedMessage
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, PHONE, submission
from tests.channels.test_aliyun import TestAliyun as Made
from tests.channels.test_aliyun import said
from tests.channels.wire import HERE, Provider, provider, run

TEXT = "【青禾】您的订单已发货。"
SENT = dt.datetime(2026, 11, 1, 3, 12, 13, tzinfo=dt.UTC)
DOUBT = UnconfirmedMessage(
    OutboundMessage("31-7", PHONE, TEXT, ()), SENT - dt.timedelta(minutes=1), SENT + dt.timedelta(minutes=1)
)


def detail(**given: Any) -> dict[str, Any]:
    return {
        "PhoneNum": "13800138000",
        "SendStatus": 3,
        "ErrCode": "DELIVERED",
        "TemplateCode": "SMS_1",
        "Content": TEXT,
        "SendDate": "2026-11-01 11:12:13",
        "OutId": "",
    } | given


def asked(tmp_path: Path, *items: dict[str, Any]) -> tuple[list[Receipt], Provider]:
    async def story() -> tuple[list[Receipt], Provider]:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            body = {"SmsSendDetailDTO": list(items)}
            return web.Response(body=json.dumps({"Code": "OK", "SmsSendDetailDTOs": body}).encode())

        async with provider(answer) as server, HttpClient(HERE) as http:
            adapter = Made().make(server.url, tmp_path)
            return await adapter.query_status(submission(1).template, [DOUBT], http), server

    return run(story())


@pytest.mark.parametrize(
    ("item", "receipt"),
    [
        (detail(), Receipt(ReceiptStatus.DELIVERED, "31-7", phone=PHONE, code="DELIVERED")),
        (
            detail(SendStatus=2, ErrCode="MK:0010"),
            Receipt(ReceiptStatus.UNDELIVERED, "31-7", phone=PHONE, outcome=Outcome.SWITCHED_OFF, code="MK:0010"),
        ),
        (detail(SendStatus=1, ErrCode=""), Receipt(ReceiptStatus.ACCEPTED, "31-7", phone=PHONE)),
        (
            detail(OutId=sign_ref(PASSWORD, "31-7", PHONE), Content="…"),
            Receipt(ReceiptStatus.DELIVERED, "31-7", phone=PHONE, code="DELIVERED"),
        ),
    ],
)
def test_what_is_surely_this_message_is_returned(item: dict[str, Any], receipt: Receipt, tmp_path: Path) -> None:
    receipts, server = asked(tmp_path, item)
    assert receipts == [receipt]
    assert server.headers[0]["x-acs-action"] == "QuerySendDetails"
    query = dict(parse_qsl(urlsplit(server.requests[0][1]).query))
    assert query == {"PhoneNumber": "13800138000", "SendDate": "20261101", "PageSize": "50", "CurrentPage": "1"}


@pytest.mark.parametrize(
    "item",
    [
        detail(TemplateCode="SMS_2"),
        detail(Content="【青禾】另一条短信。"),
        detail(SendDate="2026-11-01 11:30:00"),
        detail(SendDate="soon"),
        detail(OutId=sign_ref(PASSWORD, "30-7", PHONE)),
    ],
)
def test_what_may_be_another_message_is_not(item: dict[str, Any], tmp_path: Path) -> None:
    assert asked(tmp_path, item)[0] == []


def test_an_error_is_the_channels_error(tmp_path: Path) -> None:
    async def story() -> None:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return said("Throttling.User")

        async with provider(answer) as server, HttpClient(HERE) as http:
            await Made().make(server.url, tmp_path).query_status(submission(1).template, [DOUBT], http)

    with pytest.raises(Throttled):
        run(story())


def test_a_message_of_the_first_second_is_found_though_the_provider_tells_whole_seconds(tmp_path: Path) -> None:
    async def story() -> list[Receipt]:
        async def answer(_request: web.Request, _body: bytes) -> web.Response:
            return web.Response(
                body=json.dumps({"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": [detail()]}}).encode()
            )

        begun = UnconfirmedMessage(DOUBT.message, SENT.replace(microsecond=730_000), SENT + dt.timedelta(seconds=2))
        async with provider(answer) as server, HttpClient(HERE) as http:
            return await Made().make(server.url, tmp_path).query_status(submission(1).template, [begun], http)

    assert len(run(story())) == 1
