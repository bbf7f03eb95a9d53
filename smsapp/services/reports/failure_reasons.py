"""Why the messages of a report failed, are unconfirmed or were cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.domain.funnel import Funnel
from smsapp.domain.message import FAILED_STATES, Status
from smsapp.domain.outcome import MEANING, Meaning, Outcome
from smsapp.store.db import current_session
from smsapp.store.runs import funnels, tallies

EXPLAINED = FAILED_STATES | {Status.UNCONFIRMED, Status.CANCELLED}


@dataclass(frozen=True)
class Reason:
    """Why messages were refused, not delivered, unconfirmed or cancelled."""

    state: Status
    code: str
    """An Outcome for refused and undelivered messages; else the cause or the person's decision."""
    n: int
    share: float
    """Of all messages in this state, 0..1."""

    @property
    def meaning(self) -> Meaning | None:
        return meaning_of(self.state, self.code)


def meaning_of(state: Status | None, code: str) -> Meaning | None:
    """Return what a failure means; None where nothing failed."""
    if state not in FAILED_STATES:
        return None
    return MEANING[Outcome(code)] if code in MEANING else MEANING[Outcome.UNKNOWN]


def reasons(run_ids: Sequence[int], funnel: Funnel, *, merged: bool) -> list[Reason]:
    """Return why messages failed, are unconfirmed or cancelled, the most frequent reason of each state first."""
    lines = [
        Reason(Status[state.upper()], reason, n, n / max(1, funnel.count(Status[state.upper()])))
        for state, reason, n in funnels.reasons(current_session(), run_ids, merged=merged)
        if state != tallies.EXCLUDED and n > 0
    ]
    return sorted(
        (line for line in lines if line.state in EXPLAINED), key=lambda line: (-line.state, -line.n, line.code)
    )
