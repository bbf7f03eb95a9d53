"""Receipts that name no message of ours: shown to people, kept for a time, and never very many of one channel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smsapp.services.channels import channels
from smsapp.services.receipts.consumer import YOUNG
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.settings import settings

PAGE = 50
MOST_KEPT = 20_000
"""Of one channel; whatever a stranger sends to its address, the oldest ones beyond are removed."""
AT_ONCE = 5000
"""Removed in one transaction."""
LATELY = dt.timedelta(days=1)
MOST_COUNTED = 100


@dataclass(frozen=True)
class Listing:
    """Strays, newest first; `older` is the id behind which the next page begins, or 0."""

    lines: Sequence[UnmatchedReceipt]
    older: int


def listing(*, channel_id: int | None = None, ref: str = "", before: int | None = None) -> Listing:
    """Return one page: of this channel, with exactly this reference of ours or id of the provider's."""
    found = unmatched.page(current_session(), channel_id=channel_id, ref=ref, before=before, limit=PAGE + 1)
    return Listing(found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else 0)


def tried_until(unmatched: UnmatchedReceipt, now: dt.datetime) -> dt.datetime | None:
    """Return until when its message may still be found, or None if it is not looked for (any more)."""
    until = unmatched.at + YOUNG
    return until if unmatched.provider_ref and until > now else None


def lately(channel_id: int, now: dt.datetime) -> int:
    """Return how many of the channel's receipts of a day named no message: MOST_COUNTED + 1 means more than that."""
    return sum(at > now - LATELY for at in unmatched.seen(current_session(), channel_id, MOST_COUNTED + 1))


def kept_days() -> int:
    """Return after how many days they are removed."""
    return settings().RETENTION_DAYS


def forget(now: dt.datetime) -> None:
    """Remove unmatched older than RETENTION_DAYS, and of each channel all but the latest MOST_KEPT."""
    before = now - dt.timedelta(days=kept_days())
    _in_steps(unmatched.delete_old, before)
    for row in channels.everything():
        _in_steps(unmatched.delete_beyond, row.id, MOST_KEPT)


def _in_steps(remove: Callable[..., int], *which: Any) -> None:
    gone = AT_ONCE
    while gone == AT_ONCE:
        with writing() as session:
            gone = remove(session, *which, AT_ONCE)
