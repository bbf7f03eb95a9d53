"""What waits in the inbox, of all channels."""

from __future__ import annotations

from typing import Any

from smsapp.store.receipts import inbox


def unread(limit: int = 10) -> list[Any]:
    """Return the oldest callbacks of each channel that nobody has read, in the order they came."""
    waiting = [row for channel_id in inbox.waiting_channels() for row in inbox.unread(channel_id, limit)]
    return sorted(waiting, key=lambda row: row.id)
