"""Requests of the HTTP API that carry an Idempotency-Key, and the answers they got."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.api_key import Step
from smsapp.store.db import Base, changed, lock_row, upsert


class ApiRequest(Base):
    """One request, by the API key and the Idempotency-Key that its client has chosen."""

    __tablename__ = "api_request"

    key_id: Mapped[int] = mapped_column(sa.ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    token: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """SHA-256 of the Idempotency-Key."""
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    """SHA-256 of method, address and body: the same key for another request is refused."""
    step: Mapped[str] = mapped_column(sa.String(10))
    """domain/api_key.py Step"""
    noun_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    """What was made or changed, once it is."""
    status: Mapped[int]
    """Of the answer; 0 before it."""
    answer: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime] = mapped_column(index=True)
    lease_until: Mapped[dt.datetime]
    """Until then whoever has begun is taken to be at it."""

    __table_args__ = ({"sqlite_with_rowid": False},)


Place = tuple[int, str]
"""(API key's id, token)"""


def begin(session: Session, place: Place, fingerprint: str, now: dt.datetime, lease_until: dt.datetime) -> bool:
    """Store that a request has begun; False if one with the same key is there already."""
    values = {
        "key_id": place[0],
        "token": place[1],
        "fingerprint": fingerprint,
        "step": Step.BEGUN,
        "noun_id": None,
        "status": 0,
        "answer": "",
        "created_at": now,
        "lease_until": lease_until,
    }
    return changed(session, upsert(ApiRequest).values(**values).on_conflict_do_nothing()) == 1


def locked(session: Session, place: Place) -> ApiRequest | None:
    return lock_row(session, ApiRequest, place)


def mark_changed(session: Session, place: Place, noun_id: int | None) -> None:
    """Store, in the transaction of the change itself, that what the request asks for is done."""
    _update(session, place, step=Step.CHANGED, noun_id=noun_id)


def answer(session: Session, place: Place, status: int, text: str) -> None:
    _update(session, place, step=Step.ANSWERED, status=status, answer=text)


def forget_unchanged(session: Session, place: Place) -> None:
    """Remove a request that changed nothing, so that it may be sent again."""
    changed(session, sa.delete(ApiRequest).where(*_is(place), ApiRequest.step == Step.BEGUN))


def forget_old(session: Session, before: dt.datetime) -> None:
    changed(session, sa.delete(ApiRequest).where(ApiRequest.created_at < before))


def _update(session: Session, place: Place, **values: object) -> None:
    changed(session, sa.update(ApiRequest).where(*_is(place)).values(**values))


def _is(place: Place) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return ApiRequest.key_id == place[0], ApiRequest.token == place[1]
