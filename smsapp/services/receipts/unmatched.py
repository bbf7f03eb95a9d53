"""Unmatched receipts: shown to people, kept for RETENTION_DAYS, and of one channel MOST_KEPT at most."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from smsapp.services.channels import accounts
from smsapp.services.platform import keyset_page
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.services.receipts.unmatched_retry import YOUNG
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.settings import settings

PAGE = 50
MOST_KEPT = 20_000
"""Of one channel; the oldest ones beyond are removed, so a stranger who has its address cannot fill the disk."""
AT_ONCE = 5000
"""Removed in one transaction."""
LATELY = dt.timedelta(days=1)
MOST_COUNTED = 100


def listing(
    *, channel_id: int | None = None, ref: str = "", before: int | None = None
) -> KeysetPage[UnmatchedReceipt, int]:
    """Return unmatched receipts, newest first: of this channel, with this exact reference or provider's id."""
    rows = unmatched.page(current_session(), channel_id=channel_id, ref=ref, before=before, limit=PAGE + 1)
    return keyset_page.cut(rows, PAGE, lambda row: row.id)


def tried_until(row: UnmatchedReceipt, now: dt.datetime) -> dt.datetime | None:
    """Return until when it may still be matched, or None if it is not retried (any more)."""
    until = row.at + YOUNG
    return until if row.provider_ref and until > now else None


def lately(channel_id: int, now: dt.datetime) -> int:
    """Return how many of a day's receipts of the channel are unmatched; MOST_COUNTED + 1 means more than that."""
    return sum(at > now - LATELY for at in unmatched.seen(current_session(), channel_id, MOST_COUNTED + 1))


def kept_days() -> int:
    """Return after how many days they are removed."""
    return settings().RETENTION_DAYS


def forget() -> None:
    """Remove of each channel's unmatched receipts all but the latest MOST_KEPT."""
    for row in accounts.everything():
        _in_steps(unmatched.delete_beyond, row.id, MOST_KEPT)


def _in_steps(remove: Callable[..., int], *which: Any) -> None:
    n = AT_ONCE
    while n == AT_ONCE:
        with writing() as session:
            n = remove(session, *which, AT_ONCE)
