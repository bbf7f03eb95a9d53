"""Failed attempts to sign in that have no entry of their own in the audit log: counted by whom they were made as."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, upsert
from smsapp.store.users import AuditEntry

FAILED = "sign_in_failed"


class SignInFailures(Base):
    """What was counted for one person, or for all unknown logins, since the first of them."""

    __tablename__ = "sign_in_failures"

    person: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    """The person's id; "" for unknown logins."""
    since: Mapped[dt.datetime]
    n: Mapped[int]


@dataclass(frozen=True)
class Counted:
    """A window that is over."""

    person: str
    since: dt.datetime
    n: int


def logged(session: Session, person: str, since: dt.datetime, most: int) -> int:
    """Return how many failures as this person have entries after this moment, counted up to `most`."""
    entries = sa.select(AuditEntry.id).where(
        AuditEntry.action == FAILED, AuditEntry.noun_id == person, AuditEntry.at > since
    )
    return session.scalar(sa.select(sa.func.count()).select_from(entries.limit(most).subquery())) or 0


def count(session: Session, person: str, now: dt.datetime) -> None:
    """Count one failure."""
    new = upsert(SignInFailures).values(person=person, since=now, n=1)
    session.execute(new.on_conflict_do_update(index_elements=["person"], set_={"n": SignInFailures.n + 1}))


def take_older(session: Session, before: dt.datetime) -> list[Counted]:
    """Remove and return what was begun to be counted before this moment."""
    old = sa.delete(SignInFailures).where(SignInFailures.since < before)
    taken = old.returning(SignInFailures.person, SignInFailures.since, SignInFailures.n)
    return [Counted(*row) for row in session.execute(taken)]


def is_any_older(session: Session, before: dt.datetime) -> bool:
    """Return whether anything was begun to be counted before this moment."""
    return bool(session.scalar(sa.select(sa.exists().where(SignInFailures.since < before))))
