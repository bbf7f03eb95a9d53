"""Undoing the last hours of AppKeys: the order, its progress, and the contacts that it looks at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.key_undo import OPEN, Counts, Phase, UndoState
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.db import Base, BigId, changed, holds, lock_row, one_of, upsert
from smsapp.store.runs.runs import Message, Run


class KeyUndo(Base):
    """One undo of what a key did in a span of time; first it is counted, then carried out, in slices."""

    __tablename__ = "key_undo"

    id: Mapped[int] = mapped_column(primary_key=True)
    app_key_id: Mapped[int] = mapped_column(sa.ForeignKey("app_key.id", ondelete="CASCADE"), index=True)
    since: Mapped[dt.datetime]
    until: Mapped[dt.datetime]
    state: Mapped[str] = mapped_column(sa.String(10))
    """domain/key_undo.py UndoState"""
    phase: Mapped[str] = mapped_column(sa.String(10), default=Phase.REPLACED)
    newest: Mapped[int] = mapped_column(BigId, default=0)
    """Id of the newest row of the journal when it began."""
    position: Mapped[int] = mapped_column(BigId, default=0)
    """REPLACED: id of the last journal row that was taken back, they go down; ADDED: id of the last contact."""
    last: Mapped[int] = mapped_column(BigId, default=0)
    """Id of the last contact when it began."""
    steps: Mapped[int] = mapped_column(default=0)
    """Slices done."""
    all_steps: Mapped[int] = mapped_column(default=0)
    """Slices it needs."""
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """domain/key_undo.py Counts, and "proposals": those withdrawn."""
    runs_seen: Mapped[list[Any]] = mapped_column(default=list)
    """Ids of the runs whose contacts are among KeyUndoSent."""
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]

    @property
    def counted(self) -> Counts:
        """What it has done so far, or would do."""
        return Counts(**{name: n for name, n in self.counts.items() if name != "proposals"})

    @property
    def proposals(self) -> int:
        """Proposals that are withdrawn."""
        return int(self.counts.get("proposals", 0))

    def keep(self, counts: Counts, proposals: int) -> None:
        """Store what it has done so far."""
        self.counts = {**asdict(counts), "proposals": proposals}

    def __repr__(self) -> str:
        return f"<KeyUndo {self.id}>"


class KeyUndoSent(Base):
    """A contact that was sent something since the beginning of an undo's time: it is not removed."""

    __tablename__ = "key_undo_sent"
    __table_args__ = {"sqlite_with_rowid": False}

    undo_id: Mapped[int] = mapped_column(sa.ForeignKey("key_undo.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)


class TouchedContact(NamedTuple):
    """A contact with a value that the key has written."""

    id: int
    xwho: str
    properties: dict[str, Any]
    sources: dict[str, str]
    anonymous: bool
    created_at: dt.datetime


def claim(session: Session, undo_id: int) -> KeyUndo | None:
    """Lock an undo that a worker is to go on with; None if there is nothing to do."""
    undo = lock_row(session, KeyUndo, undo_id)
    return undo if undo is not None and undo.state in OPEN else None


def newest(session: Session, key_id: int) -> KeyUndo | None:
    """Return the latest undo of a key that was not dropped."""
    query = sa.select(KeyUndo).where(KeyUndo.app_key_id == key_id, KeyUndo.state != UndoState.DROPPED)
    return session.scalar(query.order_by(KeyUndo.id.desc()).limit(1))


def unfinished(session: Session) -> list[int]:
    """Return the ids of undos that a worker is to go on with."""
    return list(session.scalars(sa.select(KeyUndo.id).where(KeyUndo.state.in_(OPEN)).order_by(KeyUndo.id)))


def is_running(session: Session, key_id: int) -> bool:
    """Return whether an undo of this key is being carried out."""
    running = sa.exists().where(KeyUndo.app_key_id == key_id, KeyUndo.state == UndoState.RUNNING)
    return bool(session.scalar(sa.select(running)))


def drop_counted(session: Session, key_id: int) -> None:
    """Drop the undos of a key that were counted only."""
    counted = KeyUndo.state.in_([UndoState.COUNTING, UndoState.READY])
    changed(session, sa.update(KeyUndo).where(KeyUndo.app_key_id == key_id, counted).values(state=UndoState.DROPPED))


def note_sent(session: Session, undo: KeyUndo) -> None:
    """Note the contacts of runs that were frozen since the last look, as far as they may be removed."""
    query = sa.select(Run.id).where(Run.started_at >= undo.since)
    fresh = [run_id for run_id in session.scalars(query) if run_id not in undo.runs_seen]
    if not fresh:
        return
    sent = sa.select(sa.literal(undo.id), Message.contact_id).where(Message.run_id.in_(fresh)).distinct()
    new = upsert(KeyUndoSent).from_select(["undo_id", "contact_id"], sent.where(sa.true()))
    changed(session, new.on_conflict_do_nothing())
    undo.runs_seen = [*undo.runs_seen, *fresh]


def sent_to(session: Session, undo_id: int, contact_ids: Collection[int]) -> set[int]:
    """Return the contacts among these that were sent something."""
    query = sa.select(KeyUndoSent.contact_id).where(KeyUndoSent.undo_id == undo_id)
    return set(session.scalars(query.where(one_of(KeyUndoSent.contact_id, contact_ids))))


def forget_sent(session: Session, undo_id: int) -> None:
    """Remove what `note_sent` has noted."""
    changed(session, sa.delete(KeyUndoSent).where(KeyUndoSent.undo_id == undo_id))


def touched(session: Session, after: int, until: int, prefix: str, since: dt.datetime) -> list[TouchedContact]:
    """Return the contacts with an id above `after` up to `until` that hold a value whose source begins with `prefix`
    and that were changed since then; they are locked."""
    columns = (Contact.id, Contact.xwho, Contact.properties, Contact.sources, Contact.anonymous, Contact.created_at)
    query = (
        sa.select(*columns)
        .where(Contact.id > after, Contact.id <= until, Contact.updated_at >= since)
        .where(holds(sa.cast(Contact.sources, sa.Text), f'"{prefix}'))
        .order_by(Contact.xwho)
        .with_for_update()
    )
    return [TouchedContact(*row) for row in session.execute(query)]


def count_proposals(session: Session, key_id: int, since: dt.datetime, until: dt.datetime) -> int:
    """Return how many proposals of a key from a span of time are undecided."""
    return session.scalar(sa.select(sa.func.count()).where(*_proposed(key_id, since, until))) or 0


def withdraw_proposals(session: Session, key_id: int, since: dt.datetime, until: dt.datetime) -> int:
    """Remove the undecided proposals of a key from a span of time; return how many there were."""
    return changed(session, sa.delete(Proposal).where(*_proposed(key_id, since, until)))


def _proposed(key_id: int, since: dt.datetime, until: dt.datetime) -> list[sa.ColumnElement[bool]]:
    return [Proposal.app_key_id == key_id, Proposal.at >= since, Proposal.at <= until]
