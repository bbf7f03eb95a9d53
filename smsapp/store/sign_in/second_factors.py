"""Second factors of people, and the recovery codes that are left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed


class SecondFactor(Base):
    """A person's authenticator application; it counts once a code has confirmed it."""

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[bytes]
    """Sealed, services/platform/sealing.py."""
    created_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime | None]
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """The step of time of the newest code that was used: codes up to it are used up."""


class RecoveryCode(Base):
    """One recovery code that was not used yet; only its hash is stored."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


def of_person(session: Session, user_id: int) -> SecondFactor | None:
    return session.get(SecondFactor, user_id)


def replace_unconfirmed(session: Session, user_id: int, secret: bytes, now: dt.datetime) -> bool:
    """Store a new secret that is not confirmed; return False if the person has a confirmed one."""
    factor = session.get(SecondFactor, user_id)
    if factor is None:
        session.add(SecondFactor(user_id=user_id, secret=secret, created_at=now, confirmed_at=None, last_step=0))
    elif factor.confirmed_at is None:
        factor.secret, factor.created_at = secret, now
    else:
        return False
    return True


def confirm(session: Session, user_id: int, secret: bytes, step: int, now: dt.datetime) -> bool:
    """Confirm this very secret; return False if there is another one by now, or it is confirmed already."""
    statement = sa.update(SecondFactor).where(
        SecondFactor.user_id == user_id, SecondFactor.secret == secret, SecondFactor.confirmed_at.is_(None)
    )
    return changed(session, statement.values(confirmed_at=now, last_step=step)) == 1


def use_step(session: Session, user_id: int, step: int) -> bool:
    """Use up a code; return False if it or a later one was used: of two concurrent uses only one succeeds."""
    statement = sa.update(SecondFactor).where(SecondFactor.user_id == user_id, SecondFactor.last_step < step)
    return changed(session, statement.values(last_step=step)) == 1


def use_recovery_code(session: Session, user_id: int, digest: str) -> bool:
    """Delete a recovery code; return False if there is none like it."""
    statement = sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.digest == digest)
    return changed(session, statement) == 1


def replace_recovery_codes(session: Session, user_id: int, digests: Collection[str]) -> None:
    """Store these codes instead of those before."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all([RecoveryCode(user_id=user_id, digest=digest) for digest in digests])


def recovery_codes_left(session: Session, user_id: int) -> int:
    return session.scalar(sa.select(sa.func.count()).where(RecoveryCode.user_id == user_id)) or 0


def remove(session: Session, user_id: int) -> bool:
    """Delete a person's factor and recovery codes; return whether there was a factor."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return changed(session, sa.delete(SecondFactor).where(SecondFactor.user_id == user_id)) == 1


def all_factors(session: Session) -> list[SecondFactor]:
    return list(session.scalars(sa.select(SecondFactor)))


def with_factor(session: Session) -> set[int]:
    """Return the ids of the people with a confirmed factor."""
    return set(session.scalars(sa.select(SecondFactor.user_id).where(SecondFactor.confirmed_at.is_not(None))))
