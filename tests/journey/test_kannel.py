"""The Kannel preset against a real Kannel: Chinese arrives intact, receipts come back, refusals are told apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from smsapp.channels.errors import AccountError, OutcomeUnknown
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.presets import KANNEL
from smsapp.channels.http import HttpClient
from smsapp.channels.types import (
    Callback,
    OutboundMessage,
    Receipt,
    ReceiptStatus,
    SubmitRequest,
    SubmitResult,
)
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.wire import HERE, provider
from tests.journey.kannel import PASSWORD, SENDER, USERNAME, Kannel, installed, kannel, running, wait_for

__all__ = ["kannel"]

TEMPLATE = TemplateSnapshot("SMS_1", "尊敬的${name}，您的积分将于今晚24点清零，退订回T。", "青禾商城", ("name",), True)
MANY = 1000


def adapter(kannel: Kannel, folder: Path, **values: str) -> Gateway:
    """Return the gateway as the Kannel preset fills it in, at this Kannel's address."""
    settings = {setting.name: setting.default for setting in Gateway.settings} | dict(KANNEL.values)
    settings = {name: value.replace("http://127.0.0.1:13013", kannel.url) for name, value in settings.items()}
    settings |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER} | values
    assert Gateway.check(settings) == []
    return Gateway(settings, folder)


def message(run: int, n: int, text: str = "") -> OutboundMessage:
    name = f"会员{n:04}"
    return OutboundMessage(
        f"{run}-{n}",
        f"+861390000{n:04}",
        text or f"【青禾商城】尊敬的{name}，您的积分将于今晚24点清零，退订回T。",
        (name,),
    )


class Mailbox:
    """Takes receipts over HTTP as the application does, and reads them with the adapter."""

    def __init__(self, reader: Gateway) -> None:
        self.reader = reader
        self.status: list[Receipt] = []
        self.changed = asyncio.Condition()

    async def take(self, request: web.Request, body: bytes) -> web.Response:
        callback = Callback(request.method, request.query_string, dict(request.headers), body)
        # The server of the tests decodes the query; what was %2F comes as /, which parse_qsl reads just the same.
        async with self.changed:
            self.status += [receipt for receipt in self.reader.read_callback(callback) if isinstance(receipt, Receipt)]
            self.changed.notify_all()
        return web.Response(body=self.reader.acknowledgement().body)

    async def final(self, count: int) -> list[Receipt]:
        """Return the receipts that settle a message, once `count` of them have come."""

        def settled() -> list[Receipt]:
            return [receipt for receipt in self.status if receipt.status is not ReceiptStatus.ACCEPTED]

        async with self.changed, asyncio.timeout(30):
            await self.changed.wait_for(lambda: len(settled()) >= count)
        return settled()


@contextlib.asynccontextmanager
async def mailbox(reader: Gateway) -> AsyncIterator[tuple[Mailbox, str]]:
    box = Mailbox(reader)
    async with provider(box.take) as server:
        yield box, server.url + "/callbacks/token"


async def sent(
    channel: Gateway, http: HttpClient, messages: list[OutboundMessage], callback_url: str = ""
) -> list[SubmitResult]:
    """Send one request per message, at most 50 at a time; return the answers in order."""
    slots = asyncio.Semaphore(50)

    async def submit(outgoing: OutboundMessage) -> SubmitResult:
        async with slots:
            return (await channel.send(SubmitRequest(TEMPLATE, [outgoing], callback_url), http))[0]

    return await asyncio.gather(*[submit(outgoing) for outgoing in messages])


def test_a_thousand_chinese_texts_arrive_intact_and_every_receipt_comes_back(kannel: Kannel, tmp_path: Path) -> None:
    messages = [message(1, n) for n in range(MANY)]

    async def story() -> tuple[list[SubmitResult], list[Receipt]]:
        channel = adapter(kannel, tmp_path)
        async with mailbox(channel) as (box, url), HttpClient(HERE) as http:
            answers = await sent(channel, http, messages, url)
            return answers, await box.final(MANY)

    answers, receipts = asyncio.run(story())
    assert answers == [SubmitResult(True)] * MANY
    assert sorted(kannel.arrived()) == sorted((item.phone, item.text) for item in messages)
    assert Counter(receipt.ref for receipt in receipts) == Counter(item.ref for item in messages)
    assert {receipt.status for receipt in receipts} == {ReceiptStatus.DELIVERED}


@pytest.mark.parametrize(
    "text",
    ['【青禾商城】50% & <a> + "b" #c?d=e;f\\g/h|i', "【青禾商城】换行\n和🎉表情", "【青禾商城】" + "长" * 500],
    ids=["signs", "line break and emoji", "eight parts"],
)
def test_no_sign_is_lost_on_the_way(text: str, kannel: Kannel, tmp_path: Path) -> None:
    before = len(kannel.arrived())

    async def story() -> None:
        channel = adapter(kannel, tmp_path)
        async with mailbox(channel) as (box, url), HttpClient(HERE) as http:
            assert (await sent(channel, http, [message(2, 1, text)], url))[0].accepted
            assert [receipt.ref for receipt in await box.final(1)] == ["2-1"]

    asyncio.run(story())
    wait_for(lambda: "".join(part for _, part in kannel.arrived()[before:]) == text, "the text")


def test_several_numbers_in_one_request_are_told_apart_by_their_receipts(kannel: Kannel, tmp_path: Path) -> None:
    messages = [message(3, n, "【青禾商城】同一条内容") for n in range(1, 6)]

    async def story() -> list[Receipt]:
        channel = adapter(
            kannel,
            tmp_path,
            per_request="5",
            receipt_url=KANNEL.values["receipt_url"] + "&phone=%p",
            receipt_phone="phone",
        )
        async with mailbox(channel) as (box, url), HttpClient(HERE) as http:
            assert await channel.send(SubmitRequest(TEMPLATE, messages, url), http) == [SubmitResult(True, "3-1")] * 5
            return await box.final(5)

    receipts = asyncio.run(story())
    assert {(receipt.provider_ref, receipt.phone) for receipt in receipts} == {("3-1", item.phone) for item in messages}


def test_the_account_is_checked_without_sending_anything(kannel: Kannel, tmp_path: Path) -> None:
    before = len(kannel.arrived())

    async def story() -> None:
        async with HttpClient(HERE) as http:
            await adapter(kannel, tmp_path).test_credentials(http)
            with pytest.raises(AccountError) as caught:
                await adapter(kannel, tmp_path, password="wrong").test_credentials(http)
            assert caught.value.outcome is Outcome.CREDENTIALS

    asyncio.run(story())
    assert len(kannel.arrived()) == before


def test_a_wrong_password_waits_for_a_person(kannel: Kannel, tmp_path: Path) -> None:
    async def story() -> None:
        async with HttpClient(HERE) as http:
            with pytest.raises(AccountError) as caught:
                await sent(adapter(kannel, tmp_path, password="wrong"), http, [message(4, 1)])
            assert caught.value.outcome is Outcome.CREDENTIALS

    asyncio.run(story())


def test_a_gateway_without_its_line_refuses_and_its_receipt_says_the_same_once(tmp_path: Path) -> None:
    async def story(alone: Kannel) -> None:
        channel = adapter(alone, tmp_path)
        async with mailbox(channel) as (box, url), HttpClient(HERE) as http:
            alone.command("stop-smsc", "smsc=fake")
            answer = (await sent(channel, http, [message(5, 1)], url))[0]
            assert (answer.accepted, answer.outcome) == (False, Outcome.PROVIDER_FAULT)
            assert answer.code == "Not routable"
            assert [(receipt.ref, receipt.status) for receipt in await box.final(1)] == [
                ("5-1", ReceiptStatus.UNDELIVERED)
            ]

    with running(installed(tmp_path)) as alone:
        asyncio.run(story(alone))


def test_a_suspended_gateway_keeps_us_waiting_and_that_is_unclear(tmp_path: Path) -> None:
    async def story(alone: Kannel) -> None:
        alone.command("suspend")
        async with HttpClient(HERE) as http:
            with pytest.raises(OutcomeUnknown):
                await sent(adapter(alone, tmp_path, timeout="1"), http, [message(6, 1)])

    with running(installed(tmp_path)) as alone:
        asyncio.run(story(alone))
