"""The database's own mark: how far its ledger has come, to be compared with the journal outside of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, dialect


class LedgerMark(Base):
    """One row. A database whose `generation` is behind the journal's is older than what was sent."""

    __tablename__ = "ledger_mark"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(sa.BigInteger)
    """Counts the transactions that the journal outside tells of; only grows, also over a restore."""
    journal_id: Mapped[str] = mapped_column(sa.String(32))
    """The journal this database writes to; "" before the first start."""
    restored_at: Mapped[dt.datetime | None]
    """When an older copy was last found and taken over."""
    blind: Mapped[bool]
    """Nothing was there then to tell what had been sent since the copy was made."""
    first_run_id: Mapped[int] = mapped_column(sa.BigInteger)
    """Runs get ids from here on: those below may name runs that the copy does not know."""


_RAISE = sa.update(LedgerMark).values(generation=LedgerMark.generation + 1).returning(LedgerMark.generation)


def raise_generation(session: Session) -> int:
    """Raise the generation and return it; the row stays locked until the transaction ends, so call this last."""
    generation: int = session.connection().execute(_RAISE).scalar_one()
    return generation


def new_id(session: Session, ids: Any) -> dict[str, int]:
    """Return {"id": the next run's}, given the column of their ids; {} on PostgreSQL, whose sequence knows it.

    SQLite would give the id after the highest, which may name a run that an older copy does not know.
    """
    if dialect() == "postgresql":
        return {}
    highest = session.scalar(sa.select(sa.func.max(ids))) or 0
    return {"id": max(highest + 1, session.scalar(sa.select(LedgerMark.first_run_id)) or 0)}


def skip_ids(session: Session, table: str, first: int) -> None:
    """Have new runs get ids from `first` on."""
    session.execute(sa.update(LedgerMark).values(first_run_id=first))
    if dialect() == "postgresql":
        session.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table, "id"), first, False)))


def read(session: Session) -> LedgerMark:
    """Return the mark as it is in the database now."""
    return session.scalars(sa.select(LedgerMark).execution_options(populate_existing=True)).one()


def locked(session: Session) -> LedgerMark:
    """Return the mark, locked until the transaction ends."""
    query = sa.select(LedgerMark).with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).one()
