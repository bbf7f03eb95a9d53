"""Tallies: a stored count of a run's people per state and reason, changed together with the rows it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.store.db import add_up
from smsapp.store.runs.runs import Tally

Changes = Counter[tuple[str, str]]
"""(state, reason) -> change in the number of people."""


def tally_key(status: Status) -> str:
    """Return the `state` under which tallies count a status."""
    return status.name.lower()


EARLIER = "was_"
"""Prefix of the `state` of tallies that count a run's people by their status in the run that it repeats."""


def earlier_key(status: Status) -> str:
    """Return the `state` under which a run counts its people who have this status in the run that it repeats."""
    return EARLIER + tally_key(status)


def parsed(state: str) -> tuple[str, bool]:
    """Return a tally's `state` without the prefix, and whether it counts people by their earlier status."""
    return state.removeprefix(EARLIER), state.startswith(EARLIER)


def add_to_tallies(session: Session, run_id: int, changes: Mapping[tuple[str, str], int]) -> None:
    """Add the changes to a run's tallies; always in the same transaction as the rows they count."""
    # Sorted, so that two workers lock the rows in the same order.
    rows = [{"run_id": run_id, "state": s, "reason": r, "n": n} for (s, r), n in sorted(changes.items()) if n]
    add_up(session, Tally, rows)
