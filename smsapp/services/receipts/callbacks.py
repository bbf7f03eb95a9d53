"""A provider's callback, from its address to the inbox."""

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
"""How long a callback may wait for its provider's confirmation; providers hang up after some fifteen seconds."""
FULL = "smsapp.callbacks_full"
FULL_SECONDS = 1.0
BACKLOG_BYTES = 256 * 1024 * 1024
"""Bytes of one channel's unread bodies above which callbacks are refused (checked once a second)."""

log = logging.getLogger(__name__)


def take(
    token: str, method: str, query: str, headers: Mapping[str, str], body: bytes, url: str, now: dt.datetime
) -> Acknowledgement:
    """Store a callback and return the provider's acknowledgement; a call without query and body is only acknowledged.

    `url` is the requested address. Raises NotFound for an unknown token, and Refusal: "callback_refused" if the
    signature or the provider's confirmation fails, "callback_unclear" if that cannot be checked now, "callbacks_full"
    if so many of this channel's callbacks are unread that its provider has to send it again.
    """
    stored_headers = {name.lower(): value for name, value in headers.items() if name.lower() not in NOT_KEPT}
    target = callback_addresses.by_token(token, now)
    if (query or body) and _is_full(target.channel_id):
        log.warning("callback.full channel=%s", target.channel_id)
        raise Refusal(Problem("callbacks_full"))
    callback = Callback(method, query, stored_headers, body, _secret_given(target, query, url))
    try:
        adapter = _believing(target.adapter, token, callback, now)
    except CallbackRefused:
        log.warning("callback.refused channel=%s", target.channel_id)
        raise Refusal(Problem("callback_refused")) from None
    except (ChannelError, TimeoutError) as trouble:
        log.warning("callback.unclear channel=%s code=%s", target.channel_id, getattr(trouble, "code", "timeout"))
        raise Refusal(Problem("callback_unclear")) from None
    if query or body:
        stored_headers = {name: value for name, value in stored_headers.items() if _is_kept(name, adapter)}
        callback_inbox.store(target.channel_id, [replace(callback, headers=stored_headers)], now)
    return adapter.acknowledgement()


def _is_kept(header: str, adapter: Channel) -> bool:
    """Return whether a header is stored: X-* headers are not, unless the adapter reads them."""
    return not header.startswith("x-") or header in adapter.callback_headers


def _is_full(channel_id: int) -> bool:
    """Return whether this channel has too many unread callbacks to accept more; looked up once a second.

    The limit is per channel, so one channel cannot fill the disk, or the reader's time, for all.
    """
    cache: dict[int, tuple[bool, float]] = current_app.extensions.setdefault(FULL, {})
    full, until = cache.get(channel_id, (False, 0.0))
    if time.monotonic() > until:
        most = settings().CALLBACK_BACKLOG
        waiting, size = inbox.backlog(channel_id, most)
        full = waiting >= most or size >= BACKLOG_BYTES
        cache[channel_id] = (full, time.monotonic() + FULL_SECONDS)
    return full


def _believing(adapter: Channel, token: str, callback: Callback, now: dt.datetime) -> Channel:
    """Return the adapter that accepts this callback: this one or, if its key was changed just now, its successor."""
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
    """Raise CallbackRefused if the callback is provably not the provider's."""
    if adapter.needs_confirmation(callback):
        asyncio.run(_confirm_callback(adapter, callback))
    adapter.verify_callback(callback)


def _secret_given(target: CalledChannel, query: str, request_url: str) -> str:
    """Return the address that the provider has and signs: a proxy in between may change the requested one."""
    if not settings().PUBLIC_URL:
        return request_url
    return target.url + (f"?{query}" if query else "")


async def _confirm_callback(adapter: Channel, callback: Callback) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=ASK_SECONDS, connections=2) as http:
        async with asyncio.timeout(ASK_SECONDS):
            await adapter.confirm_callback(callback, http)
