"""Retention: after MESSAGE_MONTHS the single messages of a run are removed, in small steps. Its numbers stay."""

from __future__ import annotations

import datetime as dt
import logging

from smsapp.store.db import current_session, dialect, writing
from smsapp.store.runs import partitions, retention
from smsapp.store.runs.partitions import RUNS_PER_PARTITION
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

AT_ONCE = 5000
"""Rows removed in one transaction."""
MONTH = dt.timedelta(days=31)


def forget_messages(now: dt.datetime, months: int | None = None) -> list[int]:
    """Remove the single messages of runs that ended so many months ago (default: the setting); return those runs.

    0 months keep everything. Frequency caps count the messages of a week, so at least a month is always kept.
    """
    months = settings().MESSAGE_MONTHS if months is None else months
    if not months:
        return []
    all_ids: list[int] = []
    while run_ids := due(now, months):
        for run_id in run_ids:
            _empty(run_id)
        with writing() as session:
            if dialect() == "postgresql":
                for run_id in {partitions.first_run(id_) for id_ in run_ids}:
                    partitions.drop_partition(session, run_id)
            retention.mark_deleted(session, run_ids, now)
        log.info("messages.forgotten runs=%s", len(run_ids))
        all_ids += run_ids
    return all_ids


def due(now: dt.datetime, months: int) -> list[int]:
    """Return the next runs whose messages are removed, oldest first; at most those of one partition."""
    run_ids = retention.old_runs(current_session(), now - months * MONTH, RUNS_PER_PARTITION)
    low = run_ids[0] // RUNS_PER_PARTITION if run_ids else 0
    return [run_id for run_id in run_ids if run_id // RUNS_PER_PARTITION == low]


def _empty(run_id: int) -> None:
    """Remove a run's messages; on PostgreSQL, where the partition is dropped, only their provider ids."""
    if dialect() != "postgresql":
        n = 1
        while n:
            with writing() as session:
                n = retention.delete_some(session, run_id, AT_ONCE)
        return
    lo = 1
    while True:
        with writing() as session:
            n = retention.delete_refs_between(session, run_id, lo, lo + AT_ONCE - 1)
        if not n:
            return
        lo += AT_ONCE
