"""Polls providers that do not call back: their receipts and replies are fetched and stored like callbacks."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence

from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.domain.errors import Refusal
from smsapp.services.channels import accounts, provider_calls, registry
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

log = logging.getLogger(__name__)


def has_work(_now: dt.datetime) -> bool:
    """Return whether any provider is to be polled now."""
    return any(_may_have_news(row) for row in _polled())


def _may_have_news(row: ChannelRow) -> bool:
    try:
        return registry.adapter_of(row).may_have_news()
    except Refusal:
        return True  # the poll says what is wrong with the channel


def _polled() -> list[ChannelRow]:
    return [row for row in accounts.choices() if registry.kinds()[row.kind].polls]


def ask_providers(now: dt.datetime) -> None:
    """Fetch the receipts and replies of every provider that is polled, store them page by page, and apply them."""
    channel_ids = [row.id for row in _polled()]
    current_session().commit()  # nothing is held open while providers answer
    if channel_ids:
        asyncio.run(_poll_channel(channel_ids, now))
    consumer.apply_callbacks(now)


async def _poll_channel(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            begun = time.monotonic()
            try:
                adapter = accounts.adapter(channel_id)
                current_session().commit()
                async for page in adapter.pull(http):
                    callback_inbox.keep(channel_id, [page], now)
            except ChannelError as trouble:
                log.warning("pull.failed channel=%s code=%s", channel_id, trouble.code)
                with writing() as session:
                    provider_calls.note(
                        session, channel_id, adapter, provider_calls.failed("pull", begun, trouble), now
                    )
            except Exception:
                # One channel's fault must not delay the others' receipts.
                log.exception("pull.fault channel=%s", channel_id)
