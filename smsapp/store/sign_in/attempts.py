"""Counters of attempts to sign in: in the database, so that they hold for all processes while Redis is away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.throttle import Level
from smsapp.store.db import Base, one_of, upsert


class SignInCounter(Base):
    """One counter of attempts: domain/throttle.py says what its level means."""

    __tablename__ = "sign_in_counter"

    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """A keyed hash of what is counted: a typed login may be a password in the wrong field."""
    level: Mapped[float]
    at: Mapped[dt.datetime] = mapped_column(index=True)


def lock(session: Session, keys: Collection[str], now: dt.datetime) -> dict[str, Level]:
    """Return the levels of these counters, locked until the transaction ends: concurrent attempts wait."""
    fresh = [{"key": key, "level": 0.0, "at": now} for key in sorted(keys)]
    session.execute(upsert(SignInCounter).values(fresh).on_conflict_do_nothing())
    columns = (SignInCounter.key, SignInCounter.level, SignInCounter.at)
    query = sa.select(*columns).where(one_of(SignInCounter.key, keys)).order_by(SignInCounter.key)
    return {key: Level(level, at) for key, level, at in session.execute(query.with_for_update())}


def store(session: Session, levels: Mapping[str, Level]) -> None:
    """Store these levels."""
    for key, level in sorted(levels.items()):
        values = {"key": key, "level": level.level, "at": level.at}
        statement = upsert(SignInCounter).values(**values)
        session.execute(
            statement.on_conflict_do_update(index_elements=["key"], set_={"level": level.level, "at": level.at})
        )


def forget(session: Session, keys: Collection[str], before: dt.datetime) -> None:
    """Delete these counters, and all that nobody has used since then."""
    session.execute(sa.delete(SignInCounter).where(sa.or_(one_of(SignInCounter.key, keys), SignInCounter.at < before)))
