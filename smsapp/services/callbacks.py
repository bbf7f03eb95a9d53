"""A provider's call, from its address to the inbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Mapping

from smsapp.channels.base import Acknowledgement, Callback, CallbackRefused, Channel, ChannelError
from smsapp.channels.http import HttpClient
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.services import channels, receipts
from smsapp.store.channels import ChannelRow
from smsapp.store.db import session
from smsapp.store.settings import settings

NOT_KEPT = frozenset({"cookie", "authorization"})
ASK_SECONDS = 5.0
"""How long a callback may wait for what its provider is asked; providers hang up after fifteen or so."""

log = logging.getLogger(__name__)


def take(
    token: str, method: str, query: str, headers: Mapping[str, str], body: bytes, url: str, now: dt.datetime
) -> Acknowledgement:
    """Store what a provider says and return what it wants to hear; a call that says nothing is only answered.

    `url` is the address as it was seen here. Raises NotFound for an unknown token, and Refusal: "callback_refused" if
    the provider signs and this is not its hand, "callback_unclear" if that cannot be found out now.
    """
    row = channels.by_token(token)
    if row is None:
        raise NotFound("channel")
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in NOT_KEPT}
    callback = Callback(method, query, kept, body, _given(row, query, url))
    adapter = channels.adapter_of(row)
    channel_id = row.id
    try:
        if adapter.asks_back(callback):
            session().commit()  # nothing is held open while the provider answers
            asyncio.run(_ask_back(adapter, callback))
        adapter.verify_callback(callback)
    except CallbackRefused:
        log.warning("callback.refused channel=%s", channel_id)
        raise Refusal(Problem("callback_refused")) from None
    except (ChannelError, TimeoutError) as trouble:
        log.warning("callback.unclear channel=%s code=%s", channel_id, getattr(trouble, "code", "timeout"))
        raise Refusal(Problem("callback_unclear")) from None
    if query or body:
        receipts.store(channel_id, [callback], now)
    return adapter.acknowledgement()


def _given(row: ChannelRow, query: str, seen: str) -> str:
    """Return the address as the provider has it, for that is what it signs: a proxy in between changes what is seen."""
    if not settings().PUBLIC_URL:
        return seen
    return channels.callback_url(row) + (f"?{query}" if query else "")


async def _ask_back(adapter: Channel, callback: Callback) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=ASK_SECONDS, connections=2) as http:
        async with asyncio.timeout(ASK_SECONDS):
            await adapter.ask_back(callback, http)
