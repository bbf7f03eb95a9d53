"""Budgets, what of each month is reserved and spent, and the reservations of campaigns and runs.

Reserving is one conditional UPDATE of the month's row: of any number of campaigns at the same moment only as many get
through as the budget holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.budget import BudgetScope
from smsapp.store.db import Base, BigId, changed, upsert

UNSTARTED = 0
"""In place of a run's id: the reservation of a confirmed campaign whose run is not frozen yet."""


class Budget(Base):
    __tablename__ = "budget"
    __table_args__ = (sa.UniqueConstraint("scope", "scope_id", "unit", "currency"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(10))
    """A BudgetScope."""
    scope_id: Mapped[int] = mapped_column(default=0)
    """The channel or the person; 0 for everything."""
    unit: Mapped[str] = mapped_column(sa.String(10))
    """A BudgetUnit."""
    currency: Mapped[str] = mapped_column(sa.String(3), default="")
    most: Mapped[int] = mapped_column(sa.BigInteger)
    """Of each month, in units (domain/budget.py)."""


class BudgetMonth(Base):
    __tablename__ = "budget_month"
    __table_args__ = {"sqlite_with_rowid": False}

    budget_id: Mapped[int] = mapped_column(sa.ForeignKey("budget.id", ondelete="CASCADE"), primary_key=True)
    month: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    """2026-11"""
    reserved: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    spent: Mapped[int] = mapped_column(sa.BigInteger, default=0)


class Reservation(Base):
    __tablename__ = "reservation"
    __table_args__ = (sa.Index("ix_reservation_campaign", "campaign_id", "run_id"), {"sqlite_with_rowid": False})

    budget_id: Mapped[int] = mapped_column(sa.ForeignKey("budget.id", ondelete="CASCADE"), primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    """UNSTARTED until the campaign's next run is frozen."""
    month: Mapped[str] = mapped_column(sa.String(7))
    reserved: Mapped[int] = mapped_column(sa.BigInteger)
    """0 once it is settled."""
    spent: Mapped[int] = mapped_column(sa.BigInteger, default=0)


def all_budgets(session: Session) -> Sequence[Budget]:
    return session.scalars(sa.select(Budget).order_by(Budget.id)).all()


def of_key(session: Session, **key: object) -> Budget | None:
    """Return the budget with this scope, unit and currency, locked; None if there is none."""
    return session.scalar(sa.select(Budget).filter_by(**key).with_for_update())


def are_there(session: Session) -> bool:
    return bool(session.scalar(sa.select(sa.exists().select_from(Budget))))


def lock(session: Session, campaign_id: int, channel_id: int | None, person_id: int | None) -> None:
    """Lock the budgets that a campaign has reserved of or may reserve of, always in the order of their ids.

    Whoever changes reservations calls this first, after locking runs and campaigns; so nobody waits in a circle.
    """
    reserved_of = sa.select(Reservation.budget_id).where(Reservation.campaign_id == campaign_id)
    query = sa.select(Budget.id).where(sa.or_(_whose(channel_id, person_id), Budget.id.in_(reserved_of)))
    session.execute(query.order_by(Budget.id).with_for_update(of=Budget, key_share=True)).all()


def concerning(session: Session, channel_id: int | None, person_id: int | None) -> Sequence[Budget]:
    """Return the budgets that limit what this person sends over this channel."""
    query = sa.select(Budget).where(_whose(channel_id, person_id)).order_by(Budget.id)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _whose(channel_id: int | None, person_id: int | None) -> sa.ColumnElement[bool]:
    return sa.or_(
        Budget.scope == BudgetScope.ALL,
        sa.and_(Budget.scope == BudgetScope.CHANNEL, Budget.scope_id == (channel_id or 0)),
        sa.and_(Budget.scope == BudgetScope.PERSON, Budget.scope_id == (person_id or 0)),
    )


def reserve(session: Session, budget_id: int, month: str, campaign_id: int, run_id: int, n: int) -> bool:
    """Reserve `n` units more of a month for a run; False if the budget does not hold them."""
    row = upsert(BudgetMonth).values(budget_id=budget_id, month=month, reserved=0, spent=0)
    session.execute(row.on_conflict_do_nothing())
    most = sa.select(Budget.most).where(Budget.id == budget_id).scalar_subquery()
    this = (BudgetMonth.budget_id == budget_id, BudgetMonth.month == month)
    fits = BudgetMonth.reserved + BudgetMonth.spent + n <= most
    statement = sa.update(BudgetMonth).where(*this, fits).values(reserved=BudgetMonth.reserved + n)
    if changed(session, statement) != 1:
        return False
    new = upsert(Reservation).values(
        budget_id=budget_id, campaign_id=campaign_id, run_id=run_id, month=month, reserved=n, spent=0
    )
    more = {"reserved": Reservation.reserved + n, "month": month}
    session.execute(new.on_conflict_do_update(index_elements=["budget_id", "campaign_id", "run_id"], set_=more))
    return True


def of_run(session: Session, campaign_id: int, run_id: int) -> Sequence[Reservation]:
    """Return a run's reservations."""
    query = sa.select(Reservation).where(Reservation.campaign_id == campaign_id, Reservation.run_id == run_id)
    return session.scalars(query.order_by(Reservation.budget_id).execution_options(populate_existing=True)).all()


def settle(session: Session, row: Reservation, spent: int) -> None:
    """Release what is left of a reservation, and count `spent` units of it in all as spent."""
    _change(session, row, -row.reserved, spent - row.spent)
    row.reserved, row.spent = 0, spent
    session.flush()


def lessen(session: Session, row: Reservation, by: int) -> None:
    """Release so many units of a reservation."""
    by = min(by, row.reserved)
    _change(session, row, -by, 0)
    row.reserved -= by
    session.flush()


def release_unstarted(session: Session, campaign_id: int) -> None:
    """Release what a campaign has reserved for a run that was not frozen."""
    lock(session, campaign_id, None, None)
    for row in of_run(session, campaign_id, UNSTARTED):
        _change(session, row, -row.reserved, 0)
        session.delete(row)
    session.flush()


def take_out(session: Session, campaign_ids: Collection[int]) -> None:
    """Take what campaigns that are deleted with their runs have reserved and spent out of every month."""
    query = sa.select(Reservation).where(Reservation.campaign_id.in_(campaign_ids))
    ids = query.with_only_columns(Reservation.budget_id)
    locked = sa.select(Budget.id).where(Budget.id.in_(ids)).order_by(Budget.id)
    session.execute(locked.with_for_update(of=Budget, key_share=True)).all()
    for row in session.scalars(query.execution_options(populate_existing=True)).all():
        _change(session, row, -row.reserved, -row.spent)
        session.delete(row)
    session.flush()


def _change(session: Session, row: Reservation, reserved: int, spent: int) -> None:
    if reserved or spent:
        this = (BudgetMonth.budget_id == row.budget_id, BudgetMonth.month == row.month)
        more = {"reserved": BudgetMonth.reserved + reserved, "spent": BudgetMonth.spent + spent}
        changed(session, sa.update(BudgetMonth).where(*this).values(**more))


def months(session: Session, month: str) -> dict[int, BudgetMonth]:
    """Return budget id -> what of this month is reserved and spent."""
    query = sa.select(BudgetMonth).where(BudgetMonth.month == month)
    return {row.budget_id: row for row in session.scalars(query.execution_options(populate_existing=True))}


def open_reservations(session: Session, month: str) -> Sequence[Reservation]:
    """Return the reservations of runs that are frozen and not settled yet."""
    query = sa.select(Reservation).where(
        Reservation.month == month, Reservation.reserved > 0, Reservation.run_id != UNSTARTED
    )
    return session.scalars(query.execution_options(populate_existing=True)).all()
