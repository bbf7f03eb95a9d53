"""Hourly tallies of what AppKeys bring, changed in the transaction that applies it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.key_watch import Measure
from smsapp.store.db import Base, add_up, changed


class KeyTally(Base):
    """How much of one measure and name a key brought in one hour."""

    __tablename__ = "key_tally"
    __table_args__ = {"sqlite_with_rowid": False}

    app_key_id: Mapped[int] = mapped_column(sa.ForeignKey("app_key.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[dt.datetime] = mapped_column(primary_key=True)
    """The beginning of the hour."""
    measure: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    """domain/key_watch.py Measure"""
    name: Mapped[str] = mapped_column(sa.String(125), primary_key=True)
    n: Mapped[int]


def add(session: Session, hour: dt.datetime, counts: Mapping[tuple[int, Measure, str], int]) -> None:
    """Add to the tallies of an hour: {(key id, measure, name): n}."""
    rows = [
        {"app_key_id": key_id, "hour": hour, "measure": measure.value, "name": name, "n": n}
        for (key_id, measure, name), n in sorted(counts.items())
    ]
    add_up(session, KeyTally, rows)


def of_key(session: Session, key_id: int, since: dt.datetime) -> list[tuple[dt.datetime, str, str, int]]:
    """Return (hour, measure, name, n) of a key from an hour on."""
    columns = (KeyTally.hour, KeyTally.measure, KeyTally.name, KeyTally.n)
    query = sa.select(*columns).where(KeyTally.app_key_id == key_id, KeyTally.hour >= since)
    return [(at, measure, name, n) for at, measure, name, n in session.execute(query)]


def active_keys(session: Session, hour: dt.datetime) -> list[int]:
    """Return the ids of the keys that brought something in this hour."""
    return list(session.scalars(sa.select(KeyTally.app_key_id).where(KeyTally.hour == hour).distinct()))


def delete_old(session: Session, before: dt.datetime) -> int:
    """Delete the tallies of hours before a moment; return how many."""
    return changed(session, sa.delete(KeyTally).where(KeyTally.hour < before))
