"""Days of rest that an administrator has entered or imported; domain/rest_days.py has those that are shipped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.rest_days import DayKind, SpecialDay
from smsapp.store.db import Base


class RestDay(Base):
    """One special day; a year with any of them takes nothing of what is shipped."""

    __tablename__ = "rest_day"

    date: Mapped[dt.date] = mapped_column(sa.Date, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """A DayKind."""
    name: Mapped[str] = mapped_column(sa.String(80), default="")
    provisional: Mapped[bool] = mapped_column(default=False)


_STORED = sa.select(RestDay.date, RestDay.kind, RestDay.name, RestDay.provisional).order_by(RestDay.date)


def stored(session: Session) -> Sequence[SpecialDay]:
    """Return all stored days, in order."""
    rows = session.execute(_STORED)
    return [SpecialDay(row.date, DayKind(row.kind), row.name, row.provisional) for row in rows]


def replace(session: Session, years: Collection[int], days: Iterable[SpecialDay]) -> None:
    """Store these days instead of all days of these years."""
    for year in years:
        session.execute(sa.delete(RestDay).where(RestDay.date.between(dt.date(year, 1, 1), dt.date(year, 12, 31))))
    rows = [
        {"date": day.date, "kind": day.kind.value, "name": day.name, "provisional": day.provisional} for day in days
    ]
    if rows:
        session.execute(sa.insert(RestDay), rows)
