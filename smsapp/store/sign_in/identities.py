"""Who is whom at an OpenID provider: a person here, by issuer and subject, which never change, and by nothing else."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base
from smsapp.store.users import User


class ProviderIdentity(Base):
    """The account of a person at a provider."""

    __tablename__ = "provider_identity"

    issuer: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]


def person_of(session: Session, issuer: str, subject: str) -> User | None:
    """Return the person whose account this is; None if nobody's yet."""
    query = (
        sa.select(User)
        .join(ProviderIdentity)
        .where(ProviderIdentity.issuer == issuer, ProviderIdentity.subject == subject)
    )
    return session.scalar(query)


def link(session: Session, issuer: str, subject: str, user_id: int, now: dt.datetime) -> None:
    """Store whose account this is."""
    session.add(ProviderIdentity(issuer=issuer, subject=subject, user_id=user_id, created_at=now))


def with_identity(session: Session) -> set[int]:
    """Return the ids of the people who sign in through a provider."""
    return set(session.scalars(sa.select(ProviderIdentity.user_id)))
