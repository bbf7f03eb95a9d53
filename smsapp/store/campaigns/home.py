"""What the home page asks: a few queries over runs and tallies, each bounded, none over messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import dialect
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally, tally_key
from smsapp.store.sms_templates import SmsTemplate

NEWEST_RUNS = 20_000
"""Runs that are looked at for the last days."""


class HeldRun(NamedTuple):
    """A run that waits, and its campaign."""

    campaign_id: int
    name: str
    reason: str


class BadTemplate(NamedTuple):
    """A template that cannot be sent, and how many campaigns need it."""

    template_id: int
    name: str
    audit: str
    campaigns: int


class PastRun(NamedTuple):
    """A run that has begun, for the calendar."""

    campaign_id: int
    name: str
    slot: dt.datetime
    planned: int
    channel: str


class DayCount(NamedTuple):
    """Messages of the runs that began on one day."""

    date: dt.date
    state: str
    n: int


def is_blank(session: Session) -> bool:
    """Return whether there is no campaign yet."""
    return not session.scalar(sa.select(sa.exists().where(Campaign.deleted_at.is_(None))))


def held(session: Session, reasons: Collection[str], most: int) -> list[HeldRun]:
    """Return the runs that are held for one of these reasons, the longest first."""
    query = (
        sa.select(Campaign.id, Campaign.name, Run.hold_reason)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Run.finished_at.is_(None), Run.state == RunState.HELD, Run.hold_reason.in_(reasons))
        .order_by(Run.held_at)
        .limit(most)
    )
    return [HeldRun(*row) for row in session.execute(query)]


def bad_templates(session: Session, audits: Collection[str], most: int) -> list[BadTemplate]:
    """Return the templates in one of these audit states that campaigns which wait or are drafts use."""
    query = (
        sa.select(SmsTemplate.id, SmsTemplate.name, SmsTemplate.audit, sa.func.count())
        .join(Campaign, Campaign.template_id == SmsTemplate.id)
        .where(
            Campaign.status.in_([CampaignStatus.WAITING, CampaignStatus.DRAFT]),
            Campaign.deleted_at.is_(None),
            SmsTemplate.audit.in_(audits),
        )
        .group_by(SmsTemplate.id, SmsTemplate.name, SmsTemplate.audit)
        .order_by(SmsTemplate.id)
        .limit(most)
    )
    return [BadTemplate(*row) for row in session.execute(query)]


def newest_finished(session: Session, most: int) -> Sequence[tuple[Run, str]]:
    """Return the newest runs that are over, each with its campaign's name."""
    query = (
        sa.select(Run, Campaign.name)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Run.finished_at.is_not(None), Run.state != RunState.MISSED)
        .order_by(Run.id.desc())
        .limit(most)
    )
    return [(run, name) for run, name in session.execute(query)]


def past_runs(session: Session, since: dt.datetime, until: dt.datetime, most: int) -> list[PastRun]:
    """Return the runs for slots in [since, until), oldest first; those that repeat others are left out."""
    query = (
        sa.select(Campaign.id, Campaign.name, Run.slot, Run.planned, ChannelRow.name)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .join(ChannelRow, ChannelRow.id == Run.channel_id)
        .where(Run.id > _oldest(session), Run.slot >= since, Run.slot < until, Run.repeats.is_(None))
        .order_by(Run.slot)
        .limit(most)
    )
    return [PastRun(*row) for row in session.execute(query)]


def last_planned(session: Session, campaign_ids: Collection[int]) -> dict[int, int]:
    """Return {campaign id: messages of its newest run}."""
    newest = sa.select(sa.func.max(Run.id)).where(Run.campaign_id.in_(campaign_ids), Run.repeats.is_(None))
    query = sa.select(Run.campaign_id, Run.planned).where(Run.id.in_(newest.group_by(Run.campaign_id)))
    return {campaign: planned for campaign, planned in session.execute(query)}  # noqa: C416


def receipts_by_day(session: Session, since: dt.datetime, offset: dt.timedelta) -> list[DayCount]:
    """Return messages with a receipt by the day their run began, in a zone that is `offset` ahead of UTC."""
    day = _day(Run.slot, offset).label("receipt_day")
    states = [tally_key(status) for status in (Status.DELIVERED, Status.UNDELIVERED)]
    query = (
        sa.select(day, Tally.state, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(Run.id > _oldest(session), Run.slot >= since, Tally.state.in_(states))
        .group_by("receipt_day", Tally.state)  # by name: PostgreSQL takes its parameters for different ones
        .order_by("receipt_day")
    )
    return [DayCount(dt.date.fromisoformat(str(date)), state, int(n)) for date, state, n in session.execute(query)]


def _oldest(session: Session) -> int:
    """Return the id after which the newest runs begin."""
    return max(0, (session.scalar(sa.select(sa.func.max(Run.id))) or 0) - NEWEST_RUNS)


def _day(column: Any, offset: dt.timedelta) -> sa.ColumnElement[Any]:
    seconds = int(offset.total_seconds())
    if dialect() == "sqlite":
        return sa.func.date(column, f"{seconds:+d} seconds")
    utc = sa.func.timezone("UTC", column, type_=sa.DateTime())
    return sa.cast(utc + sa.literal(offset, sa.Interval()), sa.Date)
