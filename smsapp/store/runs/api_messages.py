"""Single messages: each asked for by a program, assigned to a run, and with what came of it there.

Every statement is about all requests of a key and template, or of a run; none about one message.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Row
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.single_message import NeverPlanned
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import Base, BigId, changed, dialect, upsert
from smsapp.store.runs.runs import Exclusion, Message, Run

PLANNER = 7_460_003
"""Key of the PostgreSQL advisory lock that lets one process plan at a time."""
WAITS = sa.text("run_id IS NULL AND given IS NOT NULL")
UNPLANNED = sa.text("given IS NOT NULL")
IN_A_RUN = sa.text("run_id IS NOT NULL")


class ApiMessage(Base):
    """One single message that was asked for."""

    __tablename__ = "api_message"
    __table_args__ = (
        sa.Index("ix_api_message_waiting", "key_id", "template_id", "id", sqlite_where=WAITS, postgresql_where=WAITS),
        # Small, however many a run has taken.
        sa.Index(
            "ix_api_message_unplanned", "run_id", "contact_id", sqlite_where=UNPLANNED, postgresql_where=UNPLANNED
        ),
        sa.Index(
            "ix_api_message_run",
            "run_id",
            "contact_id",
            unique=True,
            sqlite_where=IN_A_RUN,
            postgresql_where=IN_A_RUN,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    """That of the request (store/apps/message_requests.py)."""
    key_id: Mapped[int]
    """The API key's, or COMMAND."""
    template_id: Mapped[int]
    contact_id: Mapped[int] = mapped_column(BigId)
    at: Mapped[dt.datetime]
    given: Mapped[str | None] = mapped_column(sa.Text)
    """JSON object, variable -> text; NULL once it is planned: the ledger has the values then."""
    run_id: Mapped[int | None] = mapped_column(BigId)
    """NULL while it waits for one."""
    seq: Mapped[int | None]
    """Of its message in the run."""
    reason: Mapped[str] = mapped_column(sa.String(20), default="")
    """An ExclusionReason or NeverPlanned if it has no message; "" otherwise."""


class Group(NamedTuple):
    """Single messages that share a campaign: of one key, from one template."""

    key_id: int
    template_id: int


_WAITING = (ApiMessage.run_id.is_(None), ApiMessage.given.is_not(None))
_UNPLANNED = (ApiMessage.given.is_not(None),)
_WHO = sa.and_(Contact.id == ApiMessage.contact_id, Contact.created_at <= ApiMessage.at)
"""The contact that was asked for: ids may be given again, to somebody newer."""


def only_planner(session: Session) -> bool:
    """Become the one who plans until the transaction ends; False if another is at work."""
    if dialect() != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(PLANNER))))


def add(session: Session, rows: Sequence[Row[Any]]) -> None:
    """Take requests over; those that are here already stay as they are."""
    new = upsert(ApiMessage).values(
        {name: sa.bindparam(name) for name in ("id", "key_id", "template_id", "contact_id", "at", "given")}
        | {"reason": ""}
    )
    session.connection().execute(new.on_conflict_do_nothing(), [dict(row._mapping) for row in rows])


def waiting_groups(session: Session) -> Sequence[Group]:
    """Return the groups of which something waits for a run."""
    query = sa.select(ApiMessage.key_id, ApiMessage.template_id).where(*_WAITING).distinct()
    return [Group(*row) for row in session.execute(query)]


def is_waiting(session: Session) -> bool:
    """Return whether a single message waits for a run."""
    return session.scalar(sa.select(ApiMessage.id).where(*_WAITING).limit(1)) is not None


def oldest(session: Session, group: Group) -> dt.datetime | None:
    """Return when the oldest request of a group that waits for a run was made."""
    query = sa.select(ApiMessage.at).where(*_of(group)).order_by(ApiMessage.id).limit(1)
    return session.scalar(query)


def _of(group: Group) -> list[sa.ColumnElement[bool]]:
    return [*_WAITING, ApiMessage.key_id == group.key_id, ApiMessage.template_id == group.template_id]


def assign(
    session: Session, group: Group, run: Run, phone_property: str, limit: int, until: dt.datetime | None = None
) -> int:
    """Assign the oldest requests of a group to a run, made by `until`; return how many.

    A run has one message to each number, so of one number and of one contact only the oldest request is assigned, and
    none that the run has already.
    """
    made = [] if until is None else [ApiMessage.at <= until]
    phone = sa.func.nullif(Contact.phones[phone_property].as_string(), "")
    there = aliased(ApiMessage)
    is_new = [
        ~sa.exists().where(there.run_id == run.id, there.contact_id == ApiMessage.contact_id),
        ~sa.exists().where(Message.run_id == run.id, Message.phone == phone),
    ]
    if run.started_at is None:  # its people are not in the ledger yet
        own = aliased(Contact)
        number = own.phones[phone_property].as_string()
        taken = sa.select(number).join(there, there.contact_id == own.id).where(there.run_id == run.id, number != "")
        is_new.append(sa.or_(phone.is_(None), phone.not_in(taken)))
    each = sa.func.coalesce(phone, sa.cast(ApiMessage.contact_id, sa.Text))
    place = sa.func.row_number().over(partition_by=each, order_by=ApiMessage.id).label("place")
    # Ranked before the limit: many requests for one number must not keep the others waiting.
    ranked = (
        sa.select(ApiMessage.id, place).outerjoin(Contact, _WHO).where(*_of(group), *made, *is_new).subquery("ranked")
    )
    chosen = sa.select(ranked.c.id).where(ranked.c.place == 1).order_by(ranked.c.id).limit(limit)
    return changed(session, sa.update(ApiMessage).where(ApiMessage.id.in_(chosen)).values(run_id=run.id))


def members(run_id: int) -> sa.Select[Any]:
    """Return the SELECT of the contacts that were assigned to a run, are there, and are not planned yet."""
    there = sa.select(ApiMessage.contact_id).join(Contact, _WHO)
    return there.where(ApiMessage.run_id == run_id, *_UNPLANNED)


def given(run_id: int, variable: str) -> sa.ColumnElement[str]:
    """Return the text that came with the request of a contact, as part of a SELECT of contacts."""
    text: sa.ColumnElement[str]
    if dialect() == "postgresql":
        text = sa.cast(ApiMessage.given, postgresql.JSONB)[variable].astext
    else:
        text = sa.func.json_extract(ApiMessage.given, f'$."{variable}"', type_=sa.Text)
    own = sa.select(text).where(ApiMessage.run_id == run_id, ApiMessage.contact_id == Contact.id, *_UNPLANNED)
    return own.correlate(Contact).scalar_subquery()


def settle(session: Session, run_id: int, after: int) -> None:
    """Write down what became of the requests of a run whose messages behind seq `after` have just been planned."""
    mine = (ApiMessage.run_id == run_id, *_UNPLANNED)
    update = sa.update(ApiMessage)
    planned = (Message.run_id == run_id, Message.seq > after, Message.contact_id == ApiMessage.contact_id)
    changed(session, update.where(*mine, *planned).values(seq=Message.seq, given=None))
    excluded = (Exclusion.run_id == run_id, Exclusion.contact_id == ApiMessage.contact_id)
    changed(session, update.where(*mine, *excluded).values(reason=Exclusion.reason, given=None))
    changed(session, update.where(*mine).values(reason=NeverPlanned.CONTACT_GONE, given=None))


def give_up(session: Session, run_id: int) -> None:
    """Write down that a run is over without having planned some of its requests."""
    statement = sa.update(ApiMessage).where(ApiMessage.run_id == run_id, *_UNPLANNED)
    changed(session, statement.values(reason=NeverPlanned.RUN_ENDED, given=None))


def release(session: Session, run_id: int, since: dt.datetime) -> None:
    """Let requests of a run that were made after that and are not planned wait for another run."""
    mine = (ApiMessage.run_id == run_id, ApiMessage.at > since, *_UNPLANNED)
    changed(session, sa.update(ApiMessage).where(*mine).values(run_id=None))


def refuse(session: Session, group: Group) -> None:
    """Write down that the template of a group is gone."""
    statement = sa.update(ApiMessage).where(*_of(group))
    changed(session, statement.values(reason=NeverPlanned.TEMPLATE_GONE, given=None))


class Place(NamedTuple):
    """A single message, with its run and its message if it has them."""

    own: ApiMessage
    run: Run | None
    message: Message | None


def find(session: Session, message_id: int) -> Place | None:
    """Return the single message; None if there is none, or if it is not taken over yet."""
    query = sa.select(ApiMessage, Run, Message).where(ApiMessage.id == message_id)
    query = query.outerjoin(Run, Run.id == ApiMessage.run_id)
    query = query.outerjoin(Message, sa.and_(Message.run_id == ApiMessage.run_id, Message.seq == ApiMessage.seq))
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    return None if row is None else Place(*row)


def taking(session: Session, campaign_id: int, now: dt.datetime) -> Sequence[Run]:
    """Return the runs of a campaign that take people now, oldest first."""
    query = sa.select(Run).where(Run.campaign_id == campaign_id, Run.finished_at.is_(None), Run.takes_until > now)
    return session.scalars(query.order_by(Run.id).execution_options(populate_existing=True)).all()


def has_held(session: Session, group: Group, reason: HoldReason, campaign_id: int | None = None) -> bool:
    """Return whether a run of a group's campaigns, or of this one only, is held for this reason."""
    of_group = (Campaign.api_key_id == group.key_id, Campaign.template_id == group.template_id)
    held = (Run.state == RunState.HELD, Run.hold_reason == reason)
    query = sa.select(Run.id).join(Campaign, Campaign.id == Run.campaign_id).where(*of_group, *held)
    if campaign_id is not None:
        query = query.where(Campaign.id == campaign_id)
    return session.scalar(query.limit(1)) is not None


def take_people(session: Session, run_id: int, until: dt.datetime | None) -> None:
    """Let people be added to a run until then; None: no more."""
    changed(session, sa.update(Run).where(Run.id == run_id).values(takes_until=until))


def add_people(session: Session, run_id: int, target: int, planned: int) -> None:
    """Count people who were added to a run."""
    more = {"target": Run.target + target, "planned": Run.planned + planned}
    changed(session, sa.update(Run).where(Run.id == run_id).values(**more))
