"""Erasures: what was asked for, how far each is, and up to where late arrivals were looked through."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.erasure import ErasureState, Subject
from smsapp.store.db import Base, changed, upsert
from smsapp.store.settings import fernet


class Erasure(Base):
    """One or many people to be erased; a worker goes on with it until it is done."""

    __tablename__ = "erasure"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime]
    by: Mapped[str] = mapped_column(sa.String(120))
    people: Mapped[int]
    """Contacts."""
    numbers: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(12))
    """domain/erasure.py ErasureState"""
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    """The Subject, encrypted as secrets of channels are; NULL once it is done."""
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{"changed": {table: rows}, "in_flight": messages, "importing": files} as of the last pass."""
    lease_until: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]

    def __repr__(self) -> str:
        return f"<Erasure {self.id}>"


class ErasureMark(Base):
    """Up to which row of a table late arrivals were looked through, in the last round and in the one before it."""

    __tablename__ = "erasure_mark"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    earlier: Mapped[int] = mapped_column(sa.BigInteger)
    """Where the round before ended: a row with a lower id may have been committed later."""


def seal(subject: Subject) -> bytes:
    """Return whom an erasure is about, encrypted."""
    return fernet().encrypt(json.dumps(subject.as_json()).encode())


def subject_of(erasure: Erasure) -> Subject:
    """Return whom an erasure is about; nobody once it is done."""
    if erasure.sealed is None:
        return Subject()
    return Subject.from_json(json.loads(fernet().decrypt(erasure.sealed)))


def add(session: Session, subject: Subject, by: str, now: dt.datetime) -> Erasure:
    """Insert an erasure of these people."""
    row = Erasure(
        at=now,
        by=by,
        people=len(subject.contact_ids),
        numbers=len(subject.numbers),
        state=ErasureState.WORKING,
        sealed=seal(subject),
        counts={},
    )
    session.add(row)
    session.flush()
    return row


def unfinished(session: Session) -> Sequence[int]:
    """Return the ids of erasures that are not done, oldest first."""
    query = sa.select(Erasure.id).where(Erasure.state != ErasureState.DONE).order_by(Erasure.id)
    return session.scalars(query).all()


def newest(session: Session, limit: int) -> Sequence[Erasure]:
    return session.scalars(sa.select(Erasure).order_by(Erasure.id.desc()).limit(limit)).all()


def claim(session: Session, erasure_id: int, now: dt.datetime, until: dt.datetime) -> Erasure | None:
    """Take the lease of an erasure and return it; None if it is done or another worker has it."""
    free = sa.or_(Erasure.lease_until.is_(None), Erasure.lease_until < now)
    mine = sa.update(Erasure).where(Erasure.id == erasure_id, Erasure.state != ErasureState.DONE, free)
    if changed(session, mine.values(lease_until=until)) != 1:
        return None
    return session.get(Erasure, erasure_id, populate_existing=True)


def store_pass(
    session: Session,
    erasure_id: int,
    state: ErasureState,
    counts: Mapping[str, Any],
    subject: Subject,
    finished_at: dt.datetime | None,
) -> None:
    """Store the result of a pass and give the lease back; what is done keeps nothing of the person."""
    done = state is ErasureState.DONE
    values = {
        "state": state,
        "counts": dict(counts),
        "sealed": None if done else seal(subject),
        "lease_until": None,
        "finished_at": finished_at if done else None,
        "numbers": len(subject.numbers),
    }
    changed(session, sa.update(Erasure).where(Erasure.id == erasure_id).values(**values))


def mark(session: Session, name: str) -> ErasureMark | None:
    """Return up to where a table was looked through; None before the first time."""
    return session.get(ErasureMark, name, populate_existing=True)


def set_mark(session: Session, name: str, position: int, earlier: int) -> None:
    new = upsert(ErasureMark).values(name=name, position=position, earlier=earlier)
    values = {"position": position, "earlier": earlier}
    session.execute(new.on_conflict_do_update(index_elements=["name"], set_=values))
