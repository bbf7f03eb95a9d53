"""Campaigns: what is sent to whom, through which channel, when; and `move`, the only way to change their status."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column, validates

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import MOVES, Action, Status
from smsapp.store.db import Base


def search_key(name: str) -> str:
    """Return the name normalised for search and sorting: full-width = half-width, upper case = lower case."""
    return unicodedata.normalize("NFKC", name).casefold()


def _listing(name: str, *columns: str) -> sa.Index:
    condition = sa.text("deleted_at IS NULL")
    return sa.Index(f"ix_campaign_{name}", *columns, "deleted_at", sqlite_where=condition, postgresql_where=condition)


def _current(name: str, *columns: str) -> sa.Index:
    """Return the index of those that are not archived; the version before this one reads `_listing`."""
    condition = sa.text("deleted_at IS NULL AND archived_at IS NULL")
    columns = (*columns, "deleted_at", "archived_at")
    return sa.Index(f"ix_campaign_current_{name}", *columns, sqlite_where=condition, postgresql_where=condition)


ARCHIVED = sa.text("archived_at IS NOT NULL")
OF_API = sa.text("api_key_id IS NOT NULL")


class Campaign(Base):
    __tablename__ = "campaign"
    # Each order of the list has an index with all filtered columns, so the table is read for one page only.
    # `deleted_at` is among the columns because SQLite would otherwise read it from the table.
    __table_args__ = (
        _listing("newest", "created_at", "id", "status", "recurring", "channel_id", "name_key"),
        _listing("status", "status", "created_at", "id", "recurring", "channel_id", "name_key"),
        _listing("name", "name_key", "id", "status", "recurring", "channel_id", "created_at"),
        # Counts are read in the order they are grouped by: a narrow index for all, a wide one under a search.
        _listing("counts", "recurring", "status", "channel_id"),
        _listing("counts_found", "recurring", "status", "channel_id", "created_at", "name_key"),
        _listing("due", "next_due_at", "id", "status", "recurring", "channel_id", "created_at", "name_key"),
        _current("newest", "created_at", "id", "status", "recurring", "channel_id", "name_key"),
        _current("status", "status", "created_at", "id", "recurring", "channel_id", "name_key"),
        _current("name", "name_key", "id", "status", "recurring", "channel_id", "created_at"),
        _current("counts", "recurring", "status", "channel_id"),
        _current("counts_found", "recurring", "status", "channel_id", "created_at", "name_key"),
        _current("due", "next_due_at", "id", "status", "recurring", "channel_id", "created_at", "name_key"),
        sa.Index("ix_campaign_archived", "created_at", "id", sqlite_where=ARCHIVED, postgresql_where=ARCHIVED),
        sa.Index("ix_campaign_waiting", "status", "next_due_at", "id"),
        sa.Index("ix_campaign_api", "api_key_id", "template_id", "id", sqlite_where=OF_API, postgresql_where=OF_API),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), default="")
    name_key: Mapped[str] = mapped_column(sa.String(400), default="")
    """`search_key` of the name."""
    status: Mapped[str] = mapped_column(sa.String(10))
    audience: Mapped[dict[str, Any] | None]
    """domain/audience_rule.py AudienceRule.as_json(); read by `audience_of`."""
    segment_id: Mapped[int | None] = mapped_column(sa.ForeignKey("segment.id", ondelete="SET NULL"))
    """For the version before, which knows one segment only: that one; NULL if there are several. A later migration
    takes it away."""
    channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    template_id: Mapped[int | None] = mapped_column(sa.ForeignKey("sms_template.id", ondelete="SET NULL"))
    second_channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    """Failover channel for messages that the first channel surely did not send; services/sending/failover.py."""
    second_template_id: Mapped[int | None] = mapped_column(sa.ForeignKey("sms_template.id", ondelete="SET NULL"))
    consented_only: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Only those get a text who agreed to such texts."""
    leave_out: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Whom it leaves out by choice, chosen on the review: domain/leave_out.py LeaveOut.as_json()"""
    left_out_carriers: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Carriers (domain/carrier_prefixes.py Carrier) whose numbers get no text."""
    seeds: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    """The seeds of the test group get one text of each of its runs."""
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """variable -> {"property": name, "fallback": text or null}, {"fixed": text}, or {GIVEN: true}"""
    schedule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """domain/schedule.py Schedule.as_json()"""
    recurring: Mapped[bool] = mapped_column(default=False)
    zone: Mapped[str] = mapped_column(sa.String(60))
    grace_minutes: Mapped[int]
    next_due_at: Mapped[dt.datetime | None]
    confirmed_template: Mapped[dict[str, Any] | None]
    """{"text", "signature"} as confirmed; compared with the template when a run opens."""
    confirmed_second: Mapped[dict[str, Any] | None]
    """The same of the counterpart on the second channel."""
    confirmed_registrations: Mapped[dict[str, Any] | None]
    """{channel id: {carrier: state}} as a person confirmed it; compared with the present ones when a run opens."""
    reviewed: Mapped[dict[str, Any] | None]
    """{"confirmed", "previous"}: domain/drift.py Audience.as_json() at the confirmation, and of the last run."""
    failure: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the last run failed: an Outcome, a HoldReason or a RunFailure; "" otherwise."""
    provenance: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Parts of the draft that a program has set last: domain/provenance.py Provenance.as_json()"""
    api_key_id: Mapped[int | None]
    """Of single messages (domain/single_message.py): the key, or COMMAND, that asks for them. NULL: people made it."""
    version: Mapped[int] = mapped_column(default=1)
    """Incremented by every saved edit; a form based on an older version is refused."""
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    updated_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime | None]
    deleted_at: Mapped[dt.datetime | None]
    """A deleted campaign is not shown; its ledger stays for frequency caps and audit."""
    archived_at: Mapped[dt.datetime | None]
    """An archived campaign is in no list and no choice unless asked for; its report and all sums stay."""

    @validates("name")
    def _keep_key(self, _column: str, name: str) -> str:
        self.name_key = search_key(name)
        return name

    def __repr__(self) -> str:
        return f"<Campaign {self.id} {self.status}>"


class HasAudience(Protocol):
    """A campaign or a run."""

    @property
    def audience(self) -> dict[str, Any] | None: ...

    @property
    def segment_id(self) -> int | None: ...


def audience_of(row: HasAudience) -> AudienceRule:
    """Return whom a campaign or a run is for; what the version before has written is one segment."""
    return AudienceRule.of(row.segment_id) if row.audience is None else AudienceRule.from_json(row.audience)


NOT_OVER = (Campaign.status.in_([Status.DRAFT, Status.WAITING, Status.SENDING]), Campaign.deleted_at.is_(None))
"""The conditions on campaigns that still need their segment and their template."""


def move(
    session: Session, campaign_id: int, action: Action, *conditions: sa.ColumnElement[bool], **values: Any
) -> bool:
    """Apply `action` to the campaign, and set `values`, if its status allows the action and the conditions hold.

    One UPDATE, so of two concurrent calls for the same campaign exactly one returns True. DELETE and ARCHIVE do not
    change the status; they need `deleted_at` or `archived_at` among `values`. What is to send is no longer archived.
    """
    begins, ends = MOVES[action]
    if ends is not None:
        values["status"] = ends
    if action is Action.RETRY:
        values["archived_at"] = None
    if "name" in values:
        values["name_key"] = search_key(values["name"])
    statement = (
        sa.update(Campaign)
        .where(Campaign.id == campaign_id, Campaign.status.in_(begins), Campaign.deleted_at.is_(None), *conditions)
        .values(**values)
        .returning(Campaign.id)
    )
    return session.execute(statement).first() is not None


def undelete(session: Session, campaign_id: int, since: dt.datetime) -> str | None:
    """Undo a deletion at `since` or later; return the campaign's name, None if there is no such deletion."""
    statement = (
        sa.update(Campaign)
        .where(Campaign.id == campaign_id, Campaign.deleted_at >= since)
        .values(deleted_at=None)
        .returning(Campaign.name)
    )
    name: str | None = session.scalar(statement)
    return name


# Built once: many pages ask them, and to build them takes longer than to ask them.
_FIND = (
    sa.select(Campaign)
    .where(Campaign.id == sa.bindparam("id"), Campaign.deleted_at.is_(None))
    .execution_options(populate_existing=True)
)
_DUE_BETWEEN = (
    sa.select(Campaign)
    .where(
        Campaign.status == Status.WAITING,
        Campaign.next_due_at >= sa.bindparam("since"),
        Campaign.next_due_at < sa.bindparam("until"),
        Campaign.deleted_at.is_(None),
    )
    .order_by(Campaign.next_due_at, Campaign.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def find(session: Session, campaign_id: int) -> Campaign | None:
    """Return the campaign, reloaded from the database; None if it is deleted."""
    return session.scalar(_FIND, {"id": campaign_id})


def due(session: Session, now: dt.datetime, limit: int = 500) -> Sequence[int]:
    """Return the ids of waiting campaigns that are due, the longest overdue first."""
    statement = (
        sa.select(Campaign.id)
        .where(Campaign.status == Status.WAITING, Campaign.next_due_at <= now, Campaign.deleted_at.is_(None))
        .order_by(Campaign.next_due_at, Campaign.id)
        .limit(limit)
    )
    return session.scalars(statement).all()


def oldest_due(session: Session, now: dt.datetime) -> dt.datetime | None:
    """Return when the waiting campaign that is overdue longest was due; None if none is."""
    return session.scalar(
        sa.select(sa.func.min(Campaign.next_due_at)).where(
            Campaign.status == Status.WAITING, Campaign.next_due_at <= now, Campaign.deleted_at.is_(None)
        )
    )


def due_between(session: Session, since: dt.datetime, until: dt.datetime, limit: int) -> Sequence[Campaign]:
    """Return waiting campaigns with their next fire in [since, until), in the order of due times."""
    return session.scalars(_DUE_BETWEEN, {"since": since, "until": until, "most": limit}).all()


def of_api(session: Session, key_id: int, template_id: int, since: dt.datetime) -> Campaign | None:
    """Return the newest campaign of a key's single messages from a template that can go on, made since then."""
    statement = (
        sa.select(Campaign)
        .where(
            Campaign.api_key_id == key_id,
            Campaign.template_id == template_id,
            Campaign.created_at >= since,
            Campaign.status.in_([Status.SENDING, Status.SENT, Status.FAILED]),
            Campaign.deleted_at.is_(None),
        )
        .order_by(Campaign.id.desc())
        .limit(1)
    )
    return session.scalar(statement.execution_options(populate_existing=True))


def latest_of_api(session: Session, key_id: int, template_id: int) -> Campaign | None:
    """Return the newest campaign of a key's single messages from a template, whatever has become of it."""
    mine = (Campaign.api_key_id == key_id, Campaign.template_id == template_id)
    statement = sa.select(Campaign).where(*mine).order_by(Campaign.id.desc()).limit(1)
    return session.scalar(statement.execution_options(populate_existing=True))


def archive_of_api(session: Session, key_id: int, template_id: int, now: dt.datetime) -> None:
    """Archive the campaigns of a key's single messages from a template that have ended."""
    begins, _ends = MOVES[Action.ARCHIVE]
    ended = (Campaign.status.in_(begins), Campaign.deleted_at.is_(None), Campaign.archived_at.is_(None))
    mine = (Campaign.api_key_id == key_id, Campaign.template_id == template_id)
    session.execute(sa.update(Campaign).where(*mine, *ended).values(archived_at=now))


def set_due(session: Session, campaign_id: int, slot: dt.datetime) -> None:
    """Let a waiting campaign be due at another slot."""
    session.execute(sa.update(Campaign).where(Campaign.id == campaign_id).values(next_due_at=slot))


def reschedule(session: Session, campaign_id: int, schedule: dict[str, Any], slot: dt.datetime) -> None:
    """Give a waiting campaign this schedule and let it be due at this slot; the caller has locked it."""
    values = {"schedule": schedule, "next_due_at": slot, "version": Campaign.version + 1}
    session.execute(sa.update(Campaign).where(Campaign.id == campaign_id).values(**values))


def waiting_for_later(session: Session, now: dt.datetime) -> Sequence[Campaign]:
    """Lock and return the waiting campaigns that are due after `now`."""
    statement = (
        sa.select(Campaign)
        .where(Campaign.status == Status.WAITING, Campaign.next_due_at > now, Campaign.deleted_at.is_(None))
        .order_by(Campaign.id)
        .with_for_update()
    )
    return session.scalars(statement.execution_options(populate_existing=True)).all()
