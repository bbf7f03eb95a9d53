"""Retries unmatched receipts: the answer that brings their messages' provider ids may be stored after they came."""

from __future__ import annotations

import datetime as dt

from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.outcome import Outcome
from smsapp.services.receipts import applying
from smsapp.services.receipts.matching import ChannelReceipt
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.receipts.unmatched import UnmatchedReceipt

AT_ONCE = 2000
"""Receipts applied in one transaction."""
YOUNG = dt.timedelta(days=1)
"""How long an unmatched receipt may wait until its message's provider id is stored."""
QUICK = dt.timedelta(minutes=2)
"""How long every iteration retries it: the write-back of its message is about to come."""


def retry(now: dt.datetime, since: dt.datetime | None = None) -> None:
    """Apply unmatched receipts whose message's provider id has been stored meanwhile; the others stay.

    `since`: only those that came after this moment; by default those younger than YOUNG.
    """
    after = 0
    # Reading many unmatched receipts must not block other writers, so it happens before the transaction.
    while batch := unmatched.with_message(current_session(), since or now - YOUNG, after, AT_ONCE):
        receipts = [ChannelReceipt(row.channel_id, _receipt(row)) for row in batch]
        arrived: dict[int, list[Receipt]] = {}
        for channel_id, receipt in receipts:
            arrived.setdefault(channel_id, []).append(receipt)
        with writing() as session:
            unknown = set(applying.apply_to_messages(session, arrived, now))
            matched = [row.id for row, pair in zip(batch, receipts, strict=True) if pair not in unknown]
            unmatched.delete(session, matched)
        after = batch[-1].id


def has_recent(now: dt.datetime) -> bool:
    """Return whether unmatched receipts came within QUICK."""
    return unmatched.is_any_since(current_session(), now - QUICK)


def _receipt(row: UnmatchedReceipt) -> Receipt:
    return Receipt(
        ReceiptStatus(row.status),
        provider_ref=row.provider_ref,
        phone=row.phone,
        outcome=Outcome(row.outcome) if row.outcome else None,
        code=row.code,
    )
