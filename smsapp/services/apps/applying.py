"""Stored uploads, applied in bulk by a job: the oldest first, one process at a time."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError

from smsapp.services.apps import profiles
from smsapp.services.apps.profile_changes import ProfileConflict
from smsapp.services.apps.profile_reading import Report
from smsapp.services.platform import shutdown
from smsapp.services.platform.clock import Clock
from smsapp.services.platform.collector import collector_off
from smsapp.store import queue
from smsapp.store.apps import uploads
from smsapp.store.apps.uploads import Upload

log = logging.getLogger(__name__)

RING_SECONDS = 0.25
"""How long a process believes that a job applies uploads."""
BULK_BYTES = 2_000_000
"""Bytes of records applied in one transaction: some seven thousand records, which hold up other writers for a tenth of
a second at most. What a transaction costs in itself is then a tenth of it."""
LONGEST, SLICE, QUIET, LOOK, GATHER = 20.0, 1.0, 1.0, 0.05, 0.15
"""Seconds a job applies at most; after which it ends if receipts wait; without uploads after which it ends; between two
looks; after a transaction of FEW records, in which more of them gather."""
FEW = 50
"""Records of which a transaction is mostly what it costs in itself."""
TRIES = 5


def keep_applying(clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply what is stored and what comes while we look; return once nothing has come for a while, or after LONGEST.

    If nothing is stored at first, return at once. Somebody else at it is left alone. If receipts wait for a worker, it
    is theirs after a moment.
    """
    if not queue.claim_polling("apply_uploads"):
        return
    begun, last = time.monotonic(), float("-inf")
    try:
        while True:
            report = apply_some(clock())
            if report is not None:
                last = time.monotonic()
                if report.records < FEW:
                    pause(GATHER)
            elif time.monotonic() - last < QUIET:
                pause(LOOK)
            else:
                break
            now = time.monotonic()
            queue.claim_polling("apply_uploads", again=True)
            if shutdown.requested() or now - begun > LONGEST or (now - begun > SLICE and queue.waits(queue.RECEIPTS)):
                break
    finally:
        queue.release_polling("apply_uploads")
    # Processes that believed us at work do not ring; what they have stored is found by the look below.
    pause(RING_SECONDS)
    if uploads.is_waiting():
        queue.enqueue_unless_waiting(queue.UPLOADS, "apply_uploads")


def has_work(_now: dt.datetime) -> bool:
    """Return whether uploads wait to be applied."""
    return uploads.is_waiting()


def apply_waiting(now: dt.datetime) -> Report:
    """Apply every stored upload; return what became of them."""
    total = Report()
    while (report := apply_some(now)) is not None:
        total.add(report)
    return total


def apply_some(now: dt.datetime) -> Report | None:
    """Apply the oldest uploads in one transaction; None if none wait or another process is at it.

    Uploads that cannot be applied together are tried one by one, and one that cannot be applied at all is put aside
    record by record: the ones behind it must not wait for ever.
    """
    rows = uploads.waiting(BULK_BYTES)
    if not rows:
        return None
    try:
        with collector_off():
            return _apply(rows, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("uploads.failed rows=%s", len(rows))
    total = Report()
    for row in rows:
        try:
            report = _apply([row], now)
        except OperationalError:
            raise
        except Exception:
            log.exception("uploads.put_aside row=%s", row.id)
            report = profiles.put_aside(row, now)
        total.add(report or Report())
    return total


def _apply(rows: Sequence[Upload], now: dt.datetime) -> Report | None:
    for _ in range(TRIES):
        try:
            report = profiles.apply(rows, now)
        except ProfileConflict:
            rows = uploads.waiting(BULK_BYTES)
            if not rows:
                return None
        else:
            if report is not None:
                uploads.remove_applied(rows[-1].id)
            return report
    return None
