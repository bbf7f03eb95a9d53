"""An SMPP channel of the product's as the process has it that holds its connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from smsapp.channels.http import HttpClient
from smsapp.channels.smpp import Smpp
from smsapp.channels.types import Callback, OutboundMessage, SubmitRequest, SubmitResult
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.smsc import PASSWORD, SYSTEM_ID, Smsc
from tests.channels.wire import HERE

FACTS = TemplateSnapshot("SMS_1", "您的验证码是${code}", "青禾商城", ("code",), False)


def made(address: str, folder: Path, **values: str) -> Smpp:
    given = {"address": address, "system_id": SYSTEM_ID, "password": PASSWORD, "source": "10690001"}
    adapter = Smpp(given | values, folder)
    adapter.back_off = (0.01,)
    adapter.connection_wait = 0.3
    return adapter


def to(phone: str = "+8613800138000", text: str = "hello") -> SubmitRequest:
    return SubmitRequest(FACTS, [OutboundMessage("7-1", phone, text, ("1",))], "")


class Inbox:
    """What the adapter asked to keep; `broken` makes that fail."""

    def __init__(self) -> None:
        self.kept: list[Callback] = []
        self.broken = False
        self.may_keep = asyncio.Event()
        self.may_keep.set()

    async def __call__(self, callbacks: Sequence[Callback]) -> None:
        await self.may_keep.wait()
        if self.broken:
            raise OSError("the database is away")
        self.kept += callbacks


@contextlib.asynccontextmanager
async def held(
    server: Smsc, folder: Path, inbox: Inbox | None = None, /, **values: str
) -> AsyncIterator[tuple[Smpp, HttpClient]]:
    """Yield the adapter with its connection up, as the process that holds it has it."""
    async with HttpClient(HERE) as http:
        adapter = made(server.address, folder, **values)
        task = asyncio.create_task(adapter.hold(http, inbox or Inbox()))
        try:
            await server.until(lambda: server.links)
            await up(adapter)
            yield adapter, http
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def up(adapter: Smpp, connections: int = 1) -> None:
    """Wait until the adapter has heard that so many connections were let in."""
    while len(adapter._sessions) < connections:
        await asyncio.sleep(0)


async def sent(adapter: Smpp, http: HttpClient, *texts: str) -> list[SubmitResult | BaseException]:
    """Hand over texts at the same time, as a sender does."""
    calls = [adapter.send(to(text=text), http) for text in texts or ("hello",)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [result[0] if isinstance(result, list) else result for result in results]


async def one(server: Smsc, folder: Path, text: str = "hello", **values: str) -> SubmitResult | BaseException:
    async with held(server, folder, **values) as (adapter, http):
        return (await sent(adapter, http, text))[0]


def refuses(status: int) -> Any:
    return lambda link, submit: link.answer(submit, status=status)
