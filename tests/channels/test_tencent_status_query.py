"""Tencent Cloud SMS is asked about messages whose answer was lost; it names no text, so the caller has to choose."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from aiohttp import web

from smsapp.channels.http import HttpClient
from smsapp.channels.types import OutboundMessage, Receipt, ReceiptStatus, UnconfirmedMessage
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PHONE, submission
from tests.channels.test_tencent import TestTencent as Made
from tests.channels.test_tencent import pulled, response
from tests.channels.wire import HERE, provider, run

SENT = dt.datetime(2026, 11, 1, 3, 12, 13, tzinfo=dt.UTC)
DOUBT = UnconfirmedMessage(
    OutboundMessage("31-7", PHONE, "x", ()), SENT - dt.timedelta(minutes=1), SENT + dt.timedelta(minutes=1)
)


def test_every_message_to_the_number_in_that_time_is_returned_with_its_id(tmp_path: Path) -> None:
    async def story() -> list[Receipt]:
        async def answer(request: web.Request, body: bytes) -> web.Response:
            assert request.headers["X-TC-Action"] == "PullSmsSendStatusByPhoneNumber"
            begin = int(DOUBT.since.timestamp())
            assert json.loads(body) == {
                "SmsSdkAppId": "1400006666",
                "PhoneNumber": PHONE,
                "Offset": 0,
                "Limit": 100,
                "BeginTime": begin,
                "EndTime": begin + 120,
            }
            other = pulled("FAIL", "MBBLACK") | {"SerialNo": "2019:9000"}
            return response(PullSmsSendStatusSet=[pulled("SUCCESS", "DELIVRD"), other])

        async with provider(answer) as server, HttpClient(HERE) as http:
            return await Made().make(server.url, tmp_path).query_status(submission(1).template, [DOUBT], http)

    assert run(story()) == [
        Receipt(ReceiptStatus.DELIVERED, "31-7", "2019:8000", PHONE, None, "DELIVRD"),
        Receipt(ReceiptStatus.UNDELIVERED, "31-7", "2019:9000", PHONE, Outcome.OPTED_OUT, "MBBLACK"),
    ]
