"""The content of stored callbacks: each is parsed by its channel's adapter into receipts and replies."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from smsapp.channels.contract import Channel
from smsapp.channels.types import Callback, Receipt, Reply
from smsapp.domain.errors import Refusal
from smsapp.services.channels import accounts
from smsapp.store.receipts.inbox import StoredCallback

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ParsedCallbacks:
    """The parsed content of stored callbacks."""

    receipts: dict[int, list[Receipt]] = field(default_factory=dict)
    """By channel."""
    replies: list[tuple[StoredCallback, int, Reply]] = field(default_factory=list)
    """Each with its callback and its place in it."""
    unreadable: set[int] = field(default_factory=set)
    """Ids of callbacks that cannot be read."""


def parse(waiting: Sequence[StoredCallback]) -> ParsedCallbacks:
    """Parse these callbacks."""
    content = ParsedCallbacks()
    adapters: dict[int, Channel | None] = {}
    for row in waiting:
        channel_id = row.channel_id
        if channel_id not in adapters:
            adapters[channel_id] = _adapter(channel_id)
            content.receipts[channel_id] = []
        adapter = adapters[channel_id]
        try:
            items = adapter.read_callback(Callback(*tuple(row)[2:])) if adapter else ()
        except Exception as error:
            # Nothing a provider sends may block the callbacks behind it; the raw body is kept.
            log.warning("callback.unreadable inbox=%s error=%s", row.id, type(error).__name__)
            content.unreadable.add(row.id)
            continue
        receipts = content.receipts[channel_id]
        for position, item in enumerate(items):
            if isinstance(item, Receipt):
                receipts.append(item)
            else:
                content.replies.append((row, position, item))
    return content


def _adapter(channel_id: int) -> Channel | None:
    try:
        return accounts.adapter(channel_id)
    except Refusal:
        return None
