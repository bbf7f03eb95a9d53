"""The pace of a provider that has asked to slow down: halved then, and faster again as long as it takes all.

The rate is a function of what was learned and of the time since, so that all senders, and the next one, have the same.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

SLOWEST = 1.0
"""Messages a second below which no pace falls."""
RECOVERS, CREEPS = 1.25, 1.01
"""How much faster it becomes each second: up to NEAR its limit, and from there on."""
NEAR, BEYOND = 0.9, 1.05
"""Shares of the known limit: where recovering ends, and how far it is tried without having been used."""
RAISED = 1.3
"""How far above a limit that has proved too low the next one is looked for."""
USED = 0.5
"""Share of the rate that must be in use to prove it: a message counts until a second after its answer."""
ONE_EVENT = dt.timedelta(seconds=1)
"""Refusals that come this soon after one another are about the same moment."""
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Pace:
    """What was learned of a channel: `begin` messages a second until `since`, and the `limit` the provider has shown.

    `since` is the end of the wait after the latest refusal: while nothing leaves, nothing is proved.
    """

    begin: float
    limit: float
    since: dt.datetime
    refusals: int = 0
    """How often in a row it asked to slow down though the pace was the slowest."""

    def rate(self, now: dt.datetime) -> float:
        """Return the messages a second that may leave now."""
        seconds = max(0.0, (now - self.since).total_seconds())
        recovered = max(self.begin, NEAR * self.limit)
        recovers_for = math.log(recovered / self.begin, RECOVERS)
        if seconds < recovers_for:
            return self.begin * math.pow(RECOVERS, seconds)
        # The exponent is bounded, because a channel may rest for years.
        crept = recovered * math.pow(CREEPS, min(seconds - recovers_for, 60.0))
        return max(recovered, min(crept, BEYOND * self.limit))


def slower(pace: Pace | None, taken: float, refused: float, now: dt.datetime, retry_after: float | None = None) -> Pace:
    """Return the pace after the provider has asked to slow down; nothing leaves before its `since`.

    `taken`: messages it took in the second before; `refused`: those of the request it refused; `retry_after`: the
    seconds to wait if it named them. Else it is a second, and ever more if even the slowest pace is too fast.
    """
    if pace is not None and now - pace.since < ONE_EVENT:
        return pace
    if pace is None:
        limit = max(taken or refused, SLOWEST)
    elif taken:
        limit = pace.rate(now)
    else:
        limit = pace.begin  # nothing at all was taken at this pace
    is_slowest = pace is not None and pace.begin <= SLOWEST and not taken
    refusals = pace.refusals + 1 if pace is not None and is_slowest else 1
    wait = min(2.0 ** (refusals - 1), LONGEST_WAIT) if retry_after is None else retry_after
    return Pace(max(limit / 2, SLOWEST), max(limit, SLOWEST), now + dt.timedelta(seconds=wait), refusals)


def faster(pace: Pace, used: float, now: dt.datetime) -> Pace:
    """Return the pace after `used` messages a second have left: a limit that they passed is looked for higher up."""
    rate = pace.rate(now)
    if rate < BEYOND * pace.limit or used < USED * rate:
        return pace
    return Pace(rate, rate * RAISED, now)
