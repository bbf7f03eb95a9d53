"""Forgetting: after MESSAGE_MONTHS the single messages of a run go, in small steps. Its numbers stay."""

from __future__ import annotations

import datetime as dt
import logging

from smsapp.store.db import current_session, dialect, writing
from smsapp.store.runs import retention
from smsapp.store.runs.freezing import RUNS_PER_PARTITION
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

AT_ONCE = 5000
"""Rows removed in one transaction."""
MONTH = dt.timedelta(days=31)


def forget_messages(now: dt.datetime, months: int | None = None) -> list[int]:
    """Remove the single messages of runs that ended so many months ago (default: the setting); return those runs.

    0 months keep everything. A run's frequency caps look back a week, so at least a month is always there.
    """
    months = settings().MESSAGE_MONTHS if months is None else months
    if not months:
        return []
    done: list[int] = []
    while run_ids := due(now, months):
        for run_id in run_ids:
            _empty(run_id)
        with writing() as session:
            if dialect() == "postgresql":
                for run_id in {one // RUNS_PER_PARTITION * RUNS_PER_PARTITION for one in run_ids}:
                    retention.drop_partition(session, run_id)
            retention.mark_deleted(session, run_ids, now)
        log.info("messages.forgotten runs=%s", len(run_ids))
        done += run_ids
    return done


def due(now: dt.datetime, months: int) -> list[int]:
    """Return the next runs to be forgotten, oldest first; at most a partition's worth."""
    found = retention.old_runs(current_session(), now - months * MONTH, RUNS_PER_PARTITION)
    low = found[0] // RUNS_PER_PARTITION if found else 0
    return [run_id for run_id in found if run_id // RUNS_PER_PARTITION == low]


def _empty(run_id: int) -> None:
    """Remove a run's rows, or on PostgreSQL, where the table goes as a whole, only what leads to them."""
    if dialect() != "postgresql":
        gone = 1
        while gone:
            with writing() as session:
                gone = retention.delete_some(session, run_id, AT_ONCE)
        return
    lo = 1
    while True:
        with writing() as session:
            found = retention.delete_refs_between(session, run_id, lo, lo + AT_ONCE - 1)
        if not found:
            return
        lo += AT_ONCE
