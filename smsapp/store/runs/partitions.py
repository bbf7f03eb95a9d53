"""Partitions of the ledger on PostgreSQL: tables of messages and exclusions, each of RUNS_PER_PARTITION runs.

SQLite has none; there every function does nothing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.db import dialect

RUNS_PER_PARTITION = 1000
FILL = {"message": 40, "exclusion": 100}
"""Table -> per cent of a page that PostgreSQL fills with inserted rows. A message grows with its answer and its
receipt: if the page has room for that, no index is updated, and a write-back is much faster."""

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('smsapp.partition'))")
_EXISTS = sa.text("SELECT to_regclass(:part)")
_CREATE = "CREATE TABLE %(part)s (LIKE %(table)s INCLUDING ALL) WITH (fillfactor = %(fill)d)"
_ATTACH = "ALTER TABLE %(table)s ATTACH PARTITION %(part)s FOR VALUES FROM (%(low)d) TO (%(high)d)"
_DETACH = "ALTER TABLE %(table)s DETACH PARTITION %(part)s"
_DROP = "DROP TABLE %(part)s"
_ANALYZE = "ANALYZE %(part)s (run_id, seq)"


def _ddl(statement: str, **names: Any) -> sa.DDL:
    return sa.DDL(statement, context=names)  # type: ignore[no-untyped-call]


def first_run(run_id: int) -> int:
    """Return the first run id of this run's partition, which names the partition."""
    return run_id // RUNS_PER_PARTITION * RUNS_PER_PARTITION


def ensure_partition(session: Session, run_id: int) -> None:
    """Create this run's partitions, unless they exist."""
    if dialect() == "postgresql":
        create(session, run_id)


def create(session: Session, run_id: int) -> None:
    """Create this run's partitions in a PostgreSQL, which need not be the application's, unless they exist.

    They are created and then attached: CREATE TABLE .. PARTITION OF would wait for, and block, every reader.
    """
    session.execute(_LOCK)
    low = first_run(run_id)
    for table, fill in FILL.items():
        part = f"{table}_{low}"
        if session.scalar(_EXISTS, {"part": part}) is None:
            session.execute(_ddl(_CREATE, part=part, table=table, fill=fill))
            session.execute(_ddl(_ATTACH, part=part, table=table, low=low, high=low + RUNS_PER_PARTITION))


def drop_partition(session: Session, run_id: int) -> None:
    """Drop the partitions with this run's messages and exclusions, if they exist."""
    if dialect() != "postgresql":
        return
    session.execute(_LOCK)
    for table in FILL:
        part = f"{table}_{first_run(run_id)}"
        if session.scalar(_EXISTS, {"part": part}) is not None:
            session.execute(_ddl(_DETACH, part=part, table=table))
            session.execute(_ddl(_DROP, part=part))


def analyze_messages(session: Session, run_id: int) -> None:
    """Update the statistics of this run's partition.

    Without them PostgreSQL would read all of it for each batch and for each receipt.
    """
    if dialect() == "postgresql":
        session.execute(_ddl(_ANALYZE, part=f"message_{first_run(run_id)}"))
