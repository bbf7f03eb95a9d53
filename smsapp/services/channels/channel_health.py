"""The health of a channel, for its page, `flask channels check` and `flask doctor`."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from smsapp.domain.outcome import CallResult
from smsapp.services.channels.provider_calls import MOST_CALLS
from smsapp.store import rate_limit
from smsapp.store.channels import channel_health as store
from smsapp.store.channels import paces
from smsapp.store.channels.channel_health import HOUR, ChannelCall
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.receipts import codes
from smsapp.store.receipts.codes import UnknownCode
from smsapp.store.settings import settings

LATE_HOURS = 2
"""A receipt that takes longer counts as missing, though it may still come."""
LOOKED_BACK = dt.timedelta(days=7)
BARS = 24
"""Hours the chart shows."""
MOST_CLASSES = 4
"""How many kinds of failure have a colour of their own in the chart; the others share one."""
SHOWN = 10
"""Calls on the channel's page; another page has all of them."""

Class = tuple[str, str]
"""(Check, Outcome or ""): a result of messages."""


@dataclass(frozen=True)
class Pace:
    """The rate in use, shared by all workers and campaigns."""

    limit: int | None
    in_use: int | None
    """None if there is no limit, or if Redis does not answer."""
    campaigns: list[tuple[int, str]]
    """(id, name) of those that send through the channel now."""
    learned: int | None = None
    """The learned pace, messages a second; None if the provider never asked to slow down."""
    learned_at: dt.datetime | None = None
    """When the pace was changed last."""


@dataclass(frozen=True)
class Bar:
    """An hour's failures: one number per class of the chart, those without a colour of their own last."""

    at: dt.datetime
    failures: list[int]


@dataclass(frozen=True)
class Health:
    """The present health of a channel."""

    last_success: dt.datetime | None
    """None if it accepted nothing within the last thirty days."""
    calls: Sequence[ChannelCall]
    """The latest ones, newest first."""
    day: Counter[Class] = field(default_factory=Counter)
    """The results of the messages of the last 24 hours."""
    week: Counter[Class] = field(default_factory=Counter)
    bars: list[Bar] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    """The kinds of failure in the bars, most frequent first; ("", "") are the others."""
    waiting: int = 0
    """Messages accepted more than LATE_HOURS ago that still have no receipt."""
    given_up: int = 0
    """Messages of the last seven days that were closed without a receipt."""

    @property
    def trouble(self) -> ChannelCall | None:
        """The latest send, test or check, if it failed for a reason of the provider or the account."""
        last = next((call for call in self.calls if call.what in {"send", "test", "check"}), None)
        return (
            last
            if last is not None and last.result not in {CallResult.OK, CallResult.REFUSED, CallResult.UNTESTED}
            else None
        )


def health(channel_id: int, now: dt.datetime) -> Health:
    """Return the health of this channel."""
    session = current_session()
    counts = store.hours(session, channel_id, now - LOOKED_BACK)
    first = int(now.timestamp()) // HOUR * HOUR - (BARS - 1) * HOUR
    day: Counter[Class] = Counter()
    week: Counter[Class] = Counter()
    for hour, result, reason, n in counts:
        week[result, reason] += n
        if hour >= first:
            day[result, reason] += n
    classes, bars = _bars([line for line in counts if line[0] >= first and line[1] != CallResult.OK], first)
    late = now - dt.timedelta(hours=LATE_HOURS)
    long_ago = now - max(LOOKED_BACK, dt.timedelta(hours=settings().RECEIPT_HOURS + 24))
    waiting, given_up = store.missing_receipts(session, channel_id, late, long_ago)
    latest = store.calls(session, channel_id, SHOWN)
    success = store.last_success(session, [channel_id]).get(channel_id)
    return Health(success, latest, day, week, bars, classes, waiting, given_up)


def _bars(failures: Sequence[tuple[int, str, str, int]], first: int) -> tuple[list[Class], list[Bar]]:
    """Return the classes of the chart and a bar per hour; nothing if nothing failed."""
    total: Counter[Class] = Counter()
    for _hour, result, reason, n in failures:
        total[result, reason] += n
    if not total:
        return [], []
    classes = [class_ for class_, _ in total.most_common(MOST_CLASSES)]
    if len(total) > MOST_CLASSES:
        classes.append(("", ""))
    bars = [
        Bar(dt.datetime.fromtimestamp(hour, dt.UTC), [0] * len(classes))
        for hour in range(first, first + BARS * HOUR, HOUR)
    ]
    for hour, result, reason, n in failures:
        place = classes.index((result, reason)) if (result, reason) in classes else len(classes) - 1
        bars[(hour - first) // HOUR].failures[place] += n
    return classes, bars


def pace(row: ChannelRow, now: dt.datetime) -> Pace:
    """Return how much of the channel's rate is in use, by which campaigns, and its learned pace."""
    in_use = None
    learned_pace = paces.of(current_session(), [row.id]).get(row.id)
    learned_rate = round(min(learned_pace.rate(now), row.rate or learned_pace.rate(now))) if learned_pace else None
    if row.rate or learned_pace:
        try:
            in_use = round(rate_limit.in_use(row.id))
        except rate_limit.RateLimiterDown:
            in_use = None
    sending = store.sending(current_session(), row.id)
    return Pace(row.rate, in_use, sending, learned_rate, learned_pace.since if learned_pace else None)


def calls(channel_id: int) -> Sequence[ChannelCall]:
    """Return the channel's log, newest first."""
    return store.calls(current_session(), channel_id, MOST_CALLS)


def unknown_codes(channel_id: int) -> Sequence[UnknownCode]:
    """Return the codes this provider gave for failed messages that no table describes, the latest first."""
    return codes.listed(current_session(), channel_id)
