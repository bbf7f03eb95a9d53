"""Keys of the HTTP API. Only the hash of a key is stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed


class ApiKey(Base):
    """A key of the HTTP API; it is never deleted, so that the audit log's names lead to it."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    """SHA-256 of the key, which is random: no slow hash is needed."""
    shown: Mapped[str] = mapped_column(sa.String(20))
    """The beginning of the key, by which people tell keys apart."""
    scopes: Mapped[str] = mapped_column(sa.String(40))
    """domain/api_key.py Scope, separated by blanks"""
    is_test: Mapped[bool]
    """Reaches channels of the simulator only."""
    sees_numbers: Mapped[bool]
    per_minute: Mapped[int]
    """Requests."""
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]
    last_used_at: Mapped[dt.datetime | None]
    """Some minutes late: it is not written with each request."""

    def __repr__(self) -> str:
        return f"<ApiKey {self.id}>"


def listed(session: Session) -> Sequence[ApiKey]:
    """Return all keys, newest first."""
    return session.scalars(sa.select(ApiKey).order_by(ApiKey.id.desc())).all()


def by_digest(session: Session, digest: str) -> ApiKey | None:
    return session.scalar(sa.select(ApiKey).where(ApiKey.digest == digest))


def is_taken(session: Session, name: str) -> bool:
    return bool(session.scalar(sa.select(sa.exists().where(ApiKey.name == name))))


def touch(session: Session, key_id: int, now: dt.datetime) -> None:
    changed(session, sa.update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def names(session: Session, key_ids: Collection[int]) -> dict[int, str]:
    """Return {id: name} of these keys."""
    rows = session.execute(sa.select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(key_ids)))
    return {key_id: name for key_id, name in rows}  # noqa: C416 a Row is no pair to mypy
