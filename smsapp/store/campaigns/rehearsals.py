"""Rehearsals: the newest one of each campaign; and the people of an audience in the order of a run's messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.rehearsal import RehearsalState
from smsapp.store.contacts.audience import Audience
from smsapp.store.db import Base, BigId, changed, db, dialect, upsert

CHUNK = 10_000
Person = tuple[int, str | None, str | None, str | None]
"""(contact id, number, values as JSON, exclusion reason), as `select_members` has them."""


class RehearsalRow(Base):
    """The newest rehearsal of a campaign."""

    __tablename__ = "rehearsal"

    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]
    """The campaign's version that it was made for."""
    digest: Mapped[str] = mapped_column(sa.String(64))
    """What else it was made for: services/campaigns/rehearsals.py"""
    state: Mapped[str] = mapped_column(sa.String(10))
    """domain/rehearsal.py RehearsalState"""
    asked_at: Mapped[dt.datetime]
    lease_until: Mapped[dt.datetime | None]
    """Until when a worker has it; NULL before one takes it."""
    done: Mapped[int] = mapped_column(default=0)
    """People read so far, of `whole`."""
    whole: Mapped[int] = mapped_column(default=0)
    computed_at: Mapped[dt.datetime | None]
    contact_id: Mapped[int | None] = mapped_column(BigId)
    """Whose text is the longest."""
    result: Mapped[dict[str, Any] | None]
    """domain/rehearsal.py Rehearsal.as_json()"""


def find(session: Session, campaign_id: int) -> RehearsalRow | None:
    """Return the campaign's rehearsal, reloaded from the database."""
    return session.get(RehearsalRow, campaign_id, populate_existing=True)


def store(session: Session, campaign_id: int, **values: Any) -> None:
    """Put this in the place of the campaign's rehearsal."""
    new = upsert(RehearsalRow).values(campaign_id=campaign_id, **values)
    session.execute(new.on_conflict_do_update(index_elements=["campaign_id"], set_=values))


def claim(session: Session, campaign_id: int, now: dt.datetime, until: dt.datetime) -> bool:
    """Take a rehearsal that is asked for; return False if there is none, or another worker has it."""
    free = sa.or_(RehearsalRow.lease_until.is_(None), RehearsalRow.lease_until < now)
    running = sa.update(RehearsalRow).where(RehearsalRow.campaign_id == campaign_id, free)
    claimed = running.where(RehearsalRow.state == RehearsalState.RUNNING)
    return changed(session, claimed.values(lease_until=until)) == 1


def advance(session: Session, campaign_id: int, done: int, until: dt.datetime) -> None:
    """Note how far it is, and have it until then."""
    query = sa.update(RehearsalRow).where(RehearsalRow.campaign_id == campaign_id)
    changed(session, query.values(done=done, lease_until=until))


def in_order(audience: Audience) -> Iterator[Sequence[Person]]:
    """Yield all people of an audience by CHUNK in the order of numbers, as a run numbers its messages.

    One cursor over the very SELECT of the freeze, on a connection of its own: pages by key would evaluate the whole
    audience for each, because neither caps nor limits nor the order of numbers have an index.
    """
    people = audience.people
    query = sa.select(people.c.contact_id, people.c.phone, people.c.params, people.c.reason)
    query = query.order_by(people.c.phone, people.c.contact_id)
    with db.engine.connect() as connection:
        if dialect() == "postgresql":
            # A cursor is planned for its first rows; this one is read to its end.
            connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")
        options = {"stream_results": True, "max_row_buffer": CHUNK}
        rows = connection.execute(query, execution_options=options)
        while chunk := rows.fetchmany(CHUNK):
            yield chunk
