"""The test group: colleagues who get a campaign's text before it is confirmed (proof), or one of every run (seed)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from smsapp.domain.message import Status

MOST_COLLEAGUES = 20
LONGEST_NAME = 80
UNDER_WAY = frozenset({Status.QUEUED, Status.IN_FLIGHT})
"""Not answered yet."""


class ProofKind(enum.StrEnum):
    PROOF = "proof"
    """Asked for by a person, with the values of a person of the audience. Confirms nothing."""
    SEED = "seed"
    """Sent with a run, with the values of its first person; in none of the run's numbers."""


class NotSent(enum.StrEnum):
    """Why a text of the test group is not sent; its status is CANCELLED."""

    NUMBER_NOT_ALLOWED = "number_not_allowed"
    """The channel does not write to such numbers."""
    TOO_LATE = "proof_too_late"
    """It could not be sent within a day, or by the moment until which the run's texts are worth sending."""
    RUN_ENDED = "proof_run_ended"
    """The run ended before its first text left."""
    CHANNEL_GONE = "proof_channel_gone"
    """The channel was switched off."""
    ERASED = "proof_erased"
    """Whoever it was to, or whose values fill it, was erased."""
    RESTORED = "proof_restored"
    """The database is an older copy: it may have been sent since. The status is UNCONFIRMED."""


@dataclass(frozen=True)
class Arrivals:
    """What became of the texts of one proof or of a run's seeds."""

    sent: int
    arrived: int
    seconds: int | None
    """From the first hand-over to the last arrival; None until all have arrived."""


def arrivals(times: Iterable[tuple[Status, float | None, float | None]]) -> Arrivals:
    """Return the summary of (status, handed over, receipt), moments in Unix seconds."""
    rows = [row for row in times if row[0] is not Status.CANCELLED]
    arrived = [row for row in rows if row[0] is Status.DELIVERED]
    seconds = None
    if rows and len(arrived) == len(rows):
        begun = [handed for _status, handed, _receipt in rows if handed is not None]
        ended = [receipt for _status, _handed, receipt in rows if receipt is not None]
        seconds = round(max(0.0, max(ended) - min(begun))) if begun and ended else None
    return Arrivals(len(rows), len(arrived), seconds)
