"""Proposals: values that public AppKeys reported for properties that are set, until a person or a rule decides.

A row is never changed: another value from the same key replaces it under a new id, so that an id names exactly what a
person has seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.trust import MOST_PROPOSALS
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts import contacts
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import Base, BigId, Json, changed, one_of


class Proposal(Base):
    """A value that a public key proposes for a property that is set; at most one per contact, key and property."""

    __tablename__ = "proposal"
    __table_args__ = (
        sa.UniqueConstraint("contact_id", "app_key_id", "name"),
        sa.Index("ix_proposal_app_key_id_name_id", "app_key_id", "name", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[dt.datetime]
    contact_id: Mapped[int] = mapped_column(sa.ForeignKey("contact.id", ondelete="CASCADE"))
    app_key_id: Mapped[int] = mapped_column(sa.ForeignKey("app_key.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(125))
    old: Mapped[Any] = mapped_column(Json, nullable=True)
    """The contact's value when this was proposed."""
    new: Mapped[Any] = mapped_column(Json, nullable=True)

    def __repr__(self) -> str:
        return f"<Proposal {self.id}>"


@dataclass(frozen=True, slots=True)
class NewProposal:
    """A proposal before it has a row."""

    xwho: str
    app_key_id: int
    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class ProposalFilter:
    """A filter of proposals by key, property and contact; None or "" = all."""

    app_key_id: int | None = None
    name: str = ""
    contact_id: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on `Proposal`."""
        return [
            column == value
            for column, value in (
                (Proposal.app_key_id, self.app_key_id),
                (Proposal.name, self.name or None),
                (Proposal.contact_id, self.contact_id),
            )
            if value is not None
        ]


def add(session: Session, proposed: Sequence[NewProposal], now: dt.datetime) -> list[NewProposal]:
    """Insert proposals about existing contacts; return those for which their key has no room any more.

    Of several for one contact, key and property the last one counts. Lock the contacts first (`contacts.lock`).
    """
    if not proposed:
        return []
    ids = contacts.ids_of(session, {row.xwho for row in proposed})
    latest = {(ids[row.xwho], row.app_key_id, row.name): row for row in proposed if row.xwho in ids}
    existing = {
        (contact_id, app_key_id, name): (id_, new)
        for id_, contact_id, app_key_id, name, new in session.execute(
            sa.select(Proposal.id, Proposal.contact_id, Proposal.app_key_id, Proposal.name, Proposal.new).where(
                one_of(Proposal.contact_id, {contact_id for contact_id, _, _ in latest})
            )
        )
    }
    replaced: list[int] = []
    rows: list[dict[str, Any]] = []
    without_room: list[NewProposal] = []
    room: dict[int, int] = {}
    for key, row in latest.items():
        if key in existing:
            id_, new = existing[key]
            if new == row.new:
                continue
            replaced.append(id_)
        else:
            if row.app_key_id not in room:
                room[row.app_key_id] = MOST_PROPOSALS - _count(session, row.app_key_id)
            if room[row.app_key_id] <= 0:
                without_room.append(row)
                continue
            room[row.app_key_id] -= 1
        contact_id, app_key_id, name = key
        rows.append(
            {
                "at": now,
                "contact_id": contact_id,
                "app_key_id": app_key_id,
                "name": name,
                "old": row.old,
                "new": row.new,
            }
        )
    remove(session, replaced)
    if rows:
        session.execute(sa.insert(Proposal), rows)
    return without_room


def _count(session: Session, app_key_id: int) -> int:
    capped = sa.select(Proposal.id).where(Proposal.app_key_id == app_key_id).limit(MOST_PROPOSALS).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(capped)) or 0


def remove(session: Session, ids: Collection[int]) -> int:
    """Remove proposals; return how many there were."""
    return changed(session, sa.delete(Proposal).where(one_of(Proposal.id, ids))) if ids else 0


def remove_matching(session: Session, selection: ProposalFilter, until: int) -> int:
    """Remove the chosen proposals with an id up to `until`; return how many there were."""
    return changed(session, sa.delete(Proposal).where(*selection.conditions(), Proposal.id <= until))


def listed(
    session: Session, selection: ProposalFilter, before: int | None, limit: int
) -> list[tuple[Proposal, Contact, AppKey]]:
    """Return proposals below the id `before`, newest first, with their contacts and keys."""
    query = (
        sa.select(Proposal, Contact, AppKey)
        .join(Contact, Contact.id == Proposal.contact_id)
        .join(AppKey, AppKey.id == Proposal.app_key_id)
        .where(*selection.conditions())
        .order_by(Proposal.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Proposal.id < before)
    return [(proposal, contact, key) for proposal, contact, key in session.execute(query)]


def ids_of(session: Session, selection: ProposalFilter, until: int, limit: int) -> list[int]:
    """Return up to `limit` ids of the chosen proposals, oldest first, none above `until`."""
    query = sa.select(Proposal.id).where(*selection.conditions(), Proposal.id <= until)
    return list(session.scalars(query.order_by(Proposal.id).limit(limit)))


def names(session: Session) -> list[str]:
    """Return the names of properties with undecided proposals."""
    return list(session.scalars(sa.select(Proposal.name).distinct().order_by(Proposal.name)))


def is_any(session: Session) -> bool:
    """Return whether there is any undecided proposal."""
    return session.scalar(sa.select(sa.exists().select_from(Proposal))) or False


def subjects(session: Session, ids: Collection[int]) -> Sequence[sa.Row[Any]]:
    """Return the undecided proposals among these, each with its contact's values; the contacts are locked.

    Columns: name, old, new, app_key_id, contact_id, xwho, properties, sources.
    """
    query = (
        sa.select(
            Proposal.name,
            Proposal.old,
            Proposal.new,
            Proposal.app_key_id,
            Proposal.contact_id,
            Contact.xwho,
            Contact.properties,
            Contact.sources,
        )
        .join(Contact, Contact.id == Proposal.contact_id)
        .where(one_of(Proposal.id, ids))
        .order_by(Contact.xwho, Proposal.id)
        .with_for_update(of=Contact)
    )
    return session.execute(query).all()
