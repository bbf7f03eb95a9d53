"""Tallies: a stored count of a run's people per state and reason, changed together with the rows it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import Status
from smsapp.store.db import Base, BigId, add_up

EXCLUDED = "excluded"
Changes = Counter[tuple[str, str]]
"""(state, reason) -> change in the number of people."""


class Tally(Base):
    """The number of people of a run per (state, reason): changed in the same transaction as the rows it counts.

    `state` is "excluded" with an ExclusionReason, or the name of a message status with its reason ("" if it has none).
    A run that repeats another one also counts its people's states in that one, under `earlier_key`.
    """

    __tablename__ = "tally"
    __table_args__ = (
        # Without n: an index on a column that changes would slow down every write-back on PostgreSQL.
        sa.Index(
            "ix_tally_unconfirmed",
            "run_id",
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        ),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    reason: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    n: Mapped[int]


def tally_key(status: Status) -> str:
    """Return the `state` under which tallies count a status."""
    return status.name.lower()


STATUSES = {tally_key(status): status for status in Status}
"""By the `state` under which tallies count them."""
EARLIER = "was_"
"""Prefix of the `state` of tallies that count a run's people by their status in the run that it repeats."""


def earlier_key(status: Status) -> str:
    """Return the `state` under which a run counts its people who have this status in the run that it repeats."""
    return EARLIER + tally_key(status)


@cache
def parsed(state: str) -> tuple[str, bool]:
    """Return a tally's `state` without the prefix, and whether it counts people by their earlier status."""
    return state.removeprefix(EARLIER), state.startswith(EARLIER)


def add_to_tallies(session: Session, run_id: int, changes: Mapping[tuple[str, str], int]) -> None:
    """Add the changes to a run's tallies; always in the same transaction as the rows they count."""
    # Sorted, so that two workers lock the rows in the same order.
    rows = [{"run_id": run_id, "state": s, "reason": r, "n": n} for (s, r), n in sorted(changes.items()) if n]
    add_up(session, Tally, rows)
