"""The inbox: callbacks are stored as they came and acknowledged; one consumer reads and applies them later, in bulk.

`domain/message.advance` decides what a receipt changes, also for early, double, late, contradictory and unknown ones.
So a callback may be applied twice: it is marked as read after its changes are committed.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError

from smsapp.services.platform import shutdown
from smsapp.services.platform.clock import Clock
from smsapp.services.receipts import applying, parsed_callbacks, replies, unmatched_retry
from smsapp.store import queue
from smsapp.store.db import writing
from smsapp.store.receipts import inbox
from smsapp.store.receipts.inbox import InboxState, StoredCallback

log = logging.getLogger(__name__)

PAGE = 500
"""Callbacks fetched at once."""
BULK, LONG = 2000, 2_000_000
"""Callbacks applied in one transaction; once they have LONG bytes together, no further page is added.

The fixed cost of a transaction is high, so each applies many callbacks. LONG bytes of most providers are fifty thousand
receipts, as many as other writers should have to wait for.
"""
LONGEST = dt.timedelta(seconds=20)
"""How long one job reads before it enqueues the next: the other jobs of its worker wait for it."""
QUIET = dt.timedelta(seconds=1)
"""A job ends when no callback has come for so long."""
LOOK = 0.5
"""Seconds between two reads of the inbox, in which callbacks accumulate."""


def keep_reading(clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply stored callbacks and those that arrive meanwhile; return after QUIET without any, or after LONGEST.

    If none is stored at first, return at once. So a stream of callbacks costs one job in LONGEST, and few large
    transactions. Do nothing if another job reads.
    """
    if not queue.claim_polling("keep_reading"):
        return
    begun = clock()
    active_at = begun - QUIET
    try:
        while True:
            n = _read_bulk(clock())
            now = clock()
            unmatched_retry.retry(now, now - unmatched_retry.QUICK)
            if n:
                active_at = now
            if shutdown.requested() or now - begun >= LONGEST or now - active_at >= QUIET:
                break
            queue.claim_polling("keep_reading", again=True)
            if len(inbox.unread_ids(PAGE)) < PAGE:
                pause(LOOK)
    finally:
        # Callbacks stored from here on enqueue a job; the check below finds those that came just before.
        queue.release_polling("keep_reading")
    if inbox.unread_ids(1):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def has_work(now: dt.datetime) -> bool:
    """Return whether callbacks wait, or receipts whose messages' provider ids may be stored at any moment."""
    return bool(inbox.unread_ids(1)) or unmatched_retry.has_recent(now)


def apply_callbacks(now: dt.datetime) -> int:
    """Read every stored callback and apply it; return how many were read."""
    total = 0
    while n := _read_bulk(now):
        total += n
    return total


def _read_bulk(now: dt.datetime) -> int:
    """Read the oldest callbacks and apply them; return how many were read: 0 if none waits or another reader is active.

    If they cannot be applied together, each is tried alone and marked as unreadable if that fails too, so that it does
    not block those behind it. The raw body is kept.
    """
    waiting = _waiting()
    if not waiting:
        return 0
    try:
        return _apply(waiting, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("receipts.failed callbacks=%s", len(waiting))
    for row in waiting:
        try:
            _apply([row], now)
        except OperationalError:
            raise
        except Exception:
            log.exception("receipts.put_aside inbox=%s", row.id)
            with inbox.writing() as session:
                inbox.mark_read(session, [row.id], InboxState.UNREADABLE)
    return len(waiting)


def _waiting() -> list[StoredCallback]:
    """Return the oldest callbacks of all channels in turn, as many as one transaction applies.

    Each channel has its share of every transaction, so many callbacks of one channel do not delay another's.
    """
    callbacks: list[StoredCallback] = []
    length = 0
    read_up_to = dict.fromkeys(inbox.waiting_channels(), 0)
    while read_up_to and len(callbacks) < BULK and length < LONG:
        size = max(1, min(PAGE, BULK - len(callbacks)) // len(read_up_to))
        for channel_id, after in list(read_up_to.items()):
            page = inbox.unread(channel_id, size, after)
            callbacks += page
            length += sum(len(row.body) for row in page)
            if len(page) < size:
                del read_up_to[channel_id]
            else:
                read_up_to[channel_id] = page[-1].id
    return callbacks


def _apply(waiting: Sequence[StoredCallback], now: dt.datetime) -> int:
    """Apply these callbacks, then mark them as read; return how many, or 0 if another reader is active.

    They are marked after the commit: callbacks of a reader killed in between are applied once more, which changes
    nothing.
    """
    content = parsed_callbacks.parse(waiting)
    with writing() as session:
        if not inbox.only_reader(session):
            return 0
        for row, position, reply in content.replies:
            replies.take(session, row.channel_id, row.id, position, reply, now)
        applying.apply_receipts(session, content.receipts, now)
    with inbox.writing() as marks:
        inbox.mark_read(marks, [row.id for row in waiting if row.id not in content.unreadable])
        inbox.mark_read(marks, sorted(content.unreadable), InboxState.UNREADABLE)
    return len(waiting)
