"""A provider's call, from its address to the inbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from flask import current_app

from smsapp.channels.contract import Channel
from smsapp.channels.errors import CallbackRefused, ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Acknowledgement, Callback
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.channels import callback_addresses
from smsapp.services.channels.callback_addresses import CalledChannel
from smsapp.services.receipts import callback_inbox
from smsapp.store.receipts import inbox
from smsapp.store.settings import settings

NOT_KEPT = frozenset({"cookie", "authorization"})
ASK_SECONDS = 5.0
"""How long a callback may wait for what its provider is asked; providers hang up after fifteen or so."""
FULL = "smsapp.callbacks_full"
FULL_SECONDS = 1.0
BACKLOG_BYTES = 256 * 1024 * 1024
"""Bodies of one channel that wait to be read together have at most so many bytes, or a second's more."""

log = logging.getLogger(__name__)


def take(
    token: str, method: str, query: str, headers: Mapping[str, str], body: bytes, url: str, now: dt.datetime
) -> Acknowledgement:
    """Store what a provider says and return what it wants to hear; a call that says nothing is only answered.

    `url` is the address as it was seen here. Raises NotFound for an unknown token, and Refusal: "callback_refused" if
    the provider signs and this is not its hand, "callback_unclear" if that cannot be found out now, "callbacks_full" if
    so much of this channel waits to be read that its provider has to come again.
    """
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in NOT_KEPT}
    called = callback_addresses.by_token(token, now)
    if (query or body) and _is_full(called.channel_id):
        log.warning("callback.full channel=%s", called.channel_id)
        raise Refusal(Problem("callbacks_full"))
    callback = Callback(method, query, kept, body, _given(called, query, url))
    try:
        adapter = _believing(called.adapter, token, callback, now)
    except CallbackRefused:
        log.warning("callback.refused channel=%s", called.channel_id)
        raise Refusal(Problem("callback_refused")) from None
    except (ChannelError, TimeoutError) as trouble:
        log.warning("callback.unclear channel=%s code=%s", called.channel_id, getattr(trouble, "code", "timeout"))
        raise Refusal(Problem("callback_unclear")) from None
    if query or body:
        kept = {name: value for name, value in kept.items() if _is_kept(name, adapter)}
        callback_inbox.store(called.channel_id, [replace(callback, headers=kept)], now)
    return adapter.acknowledgement()


def _is_kept(header: str, adapter: Channel) -> bool:
    """Say whether a header is stored: what proxies and strangers add (X-*) says nothing of a message."""
    return not header.startswith("x-") or header in adapter.callback_headers


def _is_full(channel_id: int) -> bool:
    """Say whether so much of this channel waits to be read that its provider keeps the rest; looked up once a second.

    Other channels take theirs: nobody fills the disk, or the consumer's time, for all.
    """
    known: dict[int, tuple[bool, float]] = current_app.extensions.setdefault(FULL, {})
    full, until = known.get(channel_id, (False, 0.0))
    if time.monotonic() > until:
        most = settings().CALLBACK_BACKLOG
        waiting, size = inbox.backlog(channel_id, most)
        full = waiting >= most or size >= BACKLOG_BYTES
        known[channel_id] = (full, time.monotonic() + FULL_SECONDS)
    return full


def _believing(adapter: Channel, token: str, callback: Callback, now: dt.datetime) -> Channel:
    """Return the adapter that believes this callback: this one or, if its key was changed just now, its successor."""
    try:
        _check(adapter, callback)
    except CallbackRefused:
        successor = callback_addresses.by_token(token, now, anew=True).adapter
        if successor is adapter:
            raise
        _check(successor, callback)
        return successor
    return adapter


def _check(adapter: Channel, callback: Callback) -> None:
    """Raise CallbackRefused unless this is the provider's hand, as far as it can be told."""
    if adapter.needs_confirmation(callback):
        asyncio.run(_confirm_callback(adapter, callback))
    adapter.verify_callback(callback)


def _given(called: CalledChannel, query: str, seen: str) -> str:
    """Return the address as the provider has it, for that is what it signs: a proxy in between changes what is seen."""
    if not settings().PUBLIC_URL:
        return seen
    return called.url + (f"?{query}" if query else "")


async def _confirm_callback(adapter: Channel, callback: Callback) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=ASK_SECONDS, connections=2) as http:
        async with asyncio.timeout(ASK_SECONDS):
            await adapter.confirm_callback(callback, http)
