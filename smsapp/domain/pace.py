"""The pace of a provider that has asked to slow down: halved, then faster again as long as it accepts everything.

The rate is a function of the learned pace and the time since, so that all senders compute the same one.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

SLOWEST = 1.0
"""The lowest pace, in messages per second."""
RECOVERS, CREEPS = 1.25, 1.01
"""Factors by which the rate grows each second: up to NEAR of the limit, and from there on."""
NEAR, BEYOND = 0.9, 1.05
"""Shares of the known limit: where recovering ends, and the highest rate until it has been used."""
RAISED = 1.3
"""Factor from a rate that was used beyond the limit to the next limit."""
USED = 0.5
"""Share of the rate that must be in use to prove it: a message counts until a second after its answer."""
ONE_EVENT = dt.timedelta(seconds=1)
"""Refusals within this time count as one."""
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Pace:
    """The learned pace of a channel: `begin` is its rate at `since`, `limit` the provider's known limit (per second).

    `since` is the end of the wait after the latest refusal: while nothing is sent, nothing is proved.
    """

    begin: float
    limit: float
    since: dt.datetime
    refusals: int = 0
    """Consecutive requests to slow down at the slowest pace."""

    def rate(self, now: dt.datetime) -> float:
        """Return the messages per second that may be sent now."""
        seconds = max(0.0, (now - self.since).total_seconds())
        recovered = max(self.begin, NEAR * self.limit)
        recovers_for = math.log(recovered / self.begin, RECOVERS)
        if seconds < recovers_for:
            return self.begin * math.pow(RECOVERS, seconds)
        # The exponent is bounded, because a channel may rest for years.
        crept = recovered * math.pow(CREEPS, min(seconds - recovers_for, 60.0))
        return max(recovered, min(crept, BEYOND * self.limit))


def slower(
    pace: Pace | None, accepted: float, refused: float, now: dt.datetime, retry_after: float | None = None
) -> Pace:
    """Return the pace after the provider has asked to slow down; nothing leaves before its `since`.

    `accepted`: messages accepted in the second before; `refused`: messages of the refused request; `retry_after`: the
    seconds to wait if the provider named them. Else the wait is a second, doubled while the slowest pace is refused.
    """
    if pace is not None and now - pace.since < ONE_EVENT:
        return pace
    if pace is None:
        limit = max(accepted or refused, SLOWEST)
    elif accepted:
        limit = pace.rate(now)
    else:
        limit = pace.begin  # nothing at all was taken at this pace
    is_slowest = pace is not None and pace.begin <= SLOWEST and not accepted
    refusals = pace.refusals + 1 if pace is not None and is_slowest else 1
    wait = min(2.0 ** (refusals - 1), LONGEST_WAIT) if retry_after is None else retry_after
    return Pace(max(limit / 2, SLOWEST), max(limit, SLOWEST), now + dt.timedelta(seconds=wait), refusals)


def faster(pace: Pace, used: float, now: dt.datetime) -> Pace:
    """Return the pace after `used` messages per second were sent: a limit that was exceeded is raised."""
    rate = pace.rate(now)
    if rate < BEYOND * pace.limit or used < USED * rate:
        return pace
    return Pace(rate, rate * RAISED, now)
