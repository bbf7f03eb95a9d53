"""The chart of a report: receipts over time, in bars of equal width."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.store.db import current_session
from smsapp.store.receipts.state_changes import BUCKET_SECONDS
from smsapp.store.runs import recipients

MOST_BARS = 96
BAR_WIDTHS = (BUCKET_SECONDS, 600, 3600, 6 * 3600, 86_400, 7 * 86_400)


@dataclass(frozen=True)
class Bar:
    """Receipts that came in one interval, which begins at `at`."""

    at: dt.datetime
    delivered: int
    undelivered: int


def bars(run_ids: Sequence[int], zone: dt.tzinfo) -> tuple[list[Bar], int]:
    """Return receipts over time in bars of equal width, gaps included, and that width in seconds.

    The ledger counts in buckets of BUCKET_SECONDS; over a longer span one bar adds up several of them.
    """
    counted = recipients.receipts_over_time(current_session(), run_ids)
    if not counted:
        return [], BUCKET_SECONDS
    first, last = counted[0][0], counted[-1][0]
    width = next((seconds for seconds in BAR_WIDTHS if (last - first) // seconds < MOST_BARS), 30 * 86_400)
    # Days begin at midnight where the campaign is.
    offset = int((dt.datetime.fromtimestamp(first, zone).utcoffset() or dt.timedelta()).total_seconds())
    sums: dict[tuple[int, str], int] = {}
    for bucket, state, n in counted:
        at = bucket - (bucket + offset) % width
        sums[at, state] = sums.get((at, state), 0) + n
    return [
        Bar(dt.datetime.fromtimestamp(at, dt.UTC), sums.get((at, "delivered"), 0), sums.get((at, "undelivered"), 0))
        for at in range(first - (first + offset) % width, last + 1, width)
    ], width
