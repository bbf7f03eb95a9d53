"""Limits in time at the providers: they are told where they can be, and nothing leaves afterwards."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from smsapp.channels.errors import NotSent
from smsapp.channels.http import HttpClient
from smsapp.channels.http.too_late import not_after
from smsapp.channels.types import OutboundMessage, Receipt, ReceiptStatus, SubmitRequest
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.smsc import smsc
from tests.channels.test_gateway import gateway
from tests.channels.test_simulator import Clock, heard, made, sent
from tests.channels.transceiver import held, to
from tests.channels.wire import HERE, provider, run

NOON = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)


def one_message(valid_until: dt.datetime | None) -> SubmitRequest:
    template = TemplateSnapshot("SMS_1", "您好", "青禾商城", (), False)
    return SubmitRequest(template, [OutboundMessage("7-1", "+8613800138001", "您好", ())], "", valid_until)


async def taken(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.Response(text="taken")


@pytest.mark.parametrize(
    ("hours", "until", "validity"),
    [("0", NOON, "260302040000000+"), ("1", NOON, "260302040000000+"), ("1", NOON + dt.timedelta(hours=3), "R")],
)
def test_smpp_is_told_the_earlier_of_both_ends(hours: str, until: dt.datetime, validity: str, tmp_path: Path) -> None:
    async def story() -> str:
        async with smsc() as server, held(server, tmp_path, validity=hours) as (channel, http):
            channel.clock = (NOON - dt.timedelta(minutes=30)).timestamp
            await channel.send(replace(to(), valid_until=until), http)
            return server.submits[0].validity

    assert run(story()).endswith(validity)


def test_a_gateway_is_told_whole_minutes_where_its_address_asks_for_them(tmp_path: Path) -> None:
    async def story() -> list[str]:
        async with provider(taken) as server, HttpClient(HERE) as http:
            channel = gateway(
                server.url, tmp_path, url=f"{server.url}/?to={{to}}&text={{text}}&validity={{valid_minutes}}"
            )
            channel.clock = NOON.timestamp
            for valid_until in (NOON + dt.timedelta(minutes=7, seconds=30), None):
                await channel.send(one_message(valid_until), http)
            return [parse_qs(urlsplit(path).query)["validity"][0] for _method, path, _body in server.requests]

    assert run(story()) == ["7", "1440"]


def test_the_simulator_delivers_nothing_after_the_limit(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock, receipt_seconds="60", receipt_spread="0")
    for seconds in (90, 30):
        until = dt.datetime.fromtimestamp(clock.now + seconds, dt.UTC)
        request = one_message(until)
        request.messages[0].ref = f"7-{seconds}"
        sent(channel, request)
    clock.now += 600
    receipts = {news.ref: news for news in heard(channel) if isinstance(news, Receipt)}
    assert receipts["7-90"].status is ReceiptStatus.DELIVERED
    assert (receipts["7-30"].status, receipts["7-30"].outcome) == (ReceiptStatus.UNDELIVERED, Outcome.EXPIRED)


@pytest.mark.parametrize("seconds", [0, 60])
def test_no_request_leaves_once_it_is_too_late_however_the_adapter_got_there(seconds: int) -> None:
    async def story() -> int:
        async with provider(taken) as server, HttpClient(HERE) as http:
            not_after(NOON, lambda: NOON + dt.timedelta(seconds=seconds))
            with pytest.raises(NotSent) as late:
                await http.request("POST", server.url, body=b"text")
            assert (late.value.code, late.value.outcome) == ("too_late", Outcome.EXPIRED)
            return len(server.requests)

    assert run(story()) == 0


def test_no_submit_leaves_after_it_has_waited_for_the_window(tmp_path: Path) -> None:
    async def story() -> int:
        async with smsc() as server, held(server, tmp_path) as (channel, http):
            not_after(NOON, lambda: NOON)
            with pytest.raises(NotSent):
                await channel.send(replace(to(), valid_until=NOON), http)
            return len(server.submits)

    assert run(story()) == 0
