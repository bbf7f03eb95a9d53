"""The list of campaigns: filters, counts and keyset pages, for a hundred thousand of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from smsapp.domain.audience_rule import NamedAudience
from smsapp.domain.campaign import Sort, Status, Tab
from smsapp.domain.run import RunState
from smsapp.domain.tags import Item
from smsapp.store.campaigns.campaigns import Campaign, audience_of, search_key
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import segments
from smsapp.store.db import holds
from smsapp.store.runs.runs import Run
from smsapp.store.tags import TagFilter, having
from smsapp.store.users import User


@dataclass(frozen=True)
class CampaignFilter:
    """The filters and the order of the list; empty ones do not filter."""

    tab: Tab = Tab.ALL
    status: Status | None = None
    keyword: str = ""
    """A part of the name, compared literally, also % and _."""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    """Created in [since, until)."""
    channel_id: int | None = None
    sort: Sort = Sort.NEWEST
    tag: TagFilter | None = None
    archived: bool = False
    """Archived campaigns instead of the others."""

    @property
    def is_counted(self) -> bool:
        """Whether it is cheap to count: not the archive, nor very many campaigns with a tag: each would be read."""
        return not self.archived if self.tag is None else self.tag.ids is not None


MOST_COUNTED = 2000
"""Campaigns."""


@dataclass(frozen=True)
class Page:
    """The ids of one page in order, and whether there are newer and older ones."""

    ids: Sequence[int]
    newer: bool
    older: bool


@dataclass(frozen=True)
class _Leg:
    """A section of an order that one index serves: rows that meet `condition`, by `columns`, the last being the id."""

    columns: tuple[InstrumentedAttribute[Any], ...]
    descending: bool
    condition: sa.ColumnElement[bool] | None = None


ORDERS: dict[Sort, tuple[_Leg, ...]] = {
    Sort.NEWEST: (_Leg((Campaign.created_at, Campaign.id), descending=True),),
    Sort.NAME: (_Leg((Campaign.name_key, Campaign.id), descending=False),),
    # Campaigns without a due time come last: two legs, because no index of either database serves NULLS LAST together
    # with a keyset.
    Sort.DUE: (
        _Leg((Campaign.next_due_at, Campaign.id), descending=False, condition=Campaign.next_due_at.is_not(None)),
        _Leg((Campaign.id,), descending=True, condition=Campaign.next_due_at.is_(None)),
    ),
}


def counts(session: Session, filters: CampaignFilter) -> dict[tuple[bool, str], int]:
    """Return (recurring, status) -> campaigns, under every filter except tab and status: one grouped query.

    {} if `filters` are not counted, or find more than MOST_COUNTED: a page shall not cost more for each campaign.
    """
    if not filters.is_counted:
        return {}
    matching = (
        sa.select(Campaign.recurring, Campaign.status)
        .where(Campaign.deleted_at.is_(None), *_filter_conditions(filters))
        .limit(MOST_COUNTED + 1)
        .subquery("matching")
    )
    columns = (matching.c.recurring, matching.c.status)
    result = session.execute(sa.select(*columns, sa.func.count()).group_by(*columns))
    of_status = {(recurring, status): n for recurring, status, n in result}
    return of_status if sum(of_status.values()) <= MOST_COUNTED else {}


def page(session: Session, filters: CampaignFilter, *, after: int = 0, before: int = 0, limit: int = 25) -> Page:
    """Return the page after the campaign `after`, or the one before `before`; without either the first one.

    A deleted campaign keeps its place, so that links with its id keep working.
    """
    backwards = bool(before)
    anchor = session.get(Campaign, before or after) if before or after else None
    legs = ORDERS[filters.sort]
    first_leg = _leg_of(legs, anchor) if anchor is not None else (len(legs) - 1 if backwards else 0)
    page_ids: list[int] = []
    for index in range(first_leg, -1, -1) if backwards else range(first_leg, len(legs)):
        if len(page_ids) > limit:
            break
        leg = legs[index]
        start = anchor if index == first_leg else None
        statement = _select_leg(leg, filters, start, backwards=backwards).limit(limit + 1 - len(page_ids))
        page_ids.extend(session.scalars(statement))
    has_more, ids = len(page_ids) > limit, page_ids[:limit]
    if backwards:
        return Page(ids[::-1], newer=has_more, older=anchor is not None)
    return Page(ids, newer=anchor is not None, older=has_more)


def _leg_of(legs: Sequence[_Leg], anchor: Campaign) -> int:
    """Return the index of the leg that contains the anchor."""
    return 0 if len(legs) == 1 or anchor.next_due_at is not None else 1


def _select_leg(leg: _Leg, filters: CampaignFilter, start: Campaign | None, *, backwards: bool) -> sa.Select[int]:
    place = sa.tuple_(*leg.columns)
    falling = leg.descending is not backwards
    statement = sa.select(Campaign.id).where(
        Campaign.deleted_at.is_(None), *_filter_conditions(filters), *_tab_conditions(filters)
    )
    if leg.condition is not None:
        statement = statement.where(leg.condition)
    if start is not None:
        here = sa.tuple_(*(sa.literal(getattr(start, column.key), column.type) for column in leg.columns))
        statement = statement.where(place < here if falling else place > here)
    return statement.order_by(*(column.desc() if falling else column.asc() for column in leg.columns))


def _filter_conditions(filters: CampaignFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [
        Campaign.archived_at.is_not(None) if filters.archived else Campaign.archived_at.is_(None)
    ]
    if filters.tag is not None:
        conditions.append(having(Item.CAMPAIGN, Campaign.id, filters.tag))
    if filters.keyword:
        conditions.append(holds(Campaign.name_key, search_key(filters.keyword)))
    if filters.since is not None:
        conditions.append(Campaign.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(Campaign.created_at < filters.until)
    if filters.channel_id is not None:
        conditions.append(Campaign.channel_id == filters.channel_id)
    return conditions


def _tab_conditions(filters: CampaignFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if filters.tab is not Tab.ALL:
        # In coalesce, so that SQLite does not choose an index that begins with it and sort most of the table.
        conditions.append(sa.func.coalesce(Campaign.recurring, sa.false()) == (filters.tab is Tab.RECURRING))
    if filters.status is not None:
        conditions.append(Campaign.status == filters.status)
    return conditions


class CampaignRow(NamedTuple):
    """A campaign and the names of what it uses; "" for what it has not, or not any more."""

    campaign: Campaign
    audience: NamedAudience
    channel: str
    creator: str


def rows(session: Session, campaign_ids: Sequence[int]) -> dict[int, CampaignRow]:
    """Return these campaigns by id, reloaded from the database, without deleted ones."""
    result = session.execute(_ROWS, {"ids": campaign_ids}).all()
    rules = {campaign.id: audience_of(campaign) for campaign, _channel, _creator in result}
    names = segments.names(session, (id_ for rule in rules.values() for id_ in rule.ids))
    return {
        campaign.id: CampaignRow(campaign, segments.named(rules[campaign.id], names), channel or "", creator or "")
        for campaign, channel, creator in result
    }


def sent(session: Session, campaign_ids: Sequence[int], limit: int) -> list[tuple[int, str]]:
    """Return (id, name) of the newest campaigns with a run, deleted but not archived ones too, and of these."""
    has_run = sa.exists().where(Run.campaign_id == Campaign.id, Run.started_at.is_not(None))
    newest = (
        sa.select(Campaign.id).where(has_run, Campaign.archived_at.is_(None)).order_by(Campaign.id.desc()).limit(limit)
    )
    chosen = sa.or_(Campaign.id.in_(newest), Campaign.id.in_(campaign_ids))
    rows = session.execute(sa.select(Campaign.id, Campaign.name).where(chosen).order_by(Campaign.id.desc()))
    return [(id_, name) for id_, name in rows]


class ListedRun(NamedTuple):
    """What the list shows of a run."""

    id: int
    campaign_id: int
    state: str
    verdict: str
    hold_reason: str
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


# Built once: to build them takes longer than to ask them.
_ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_ROWS = (
    sa.select(Campaign, ChannelRow.name, User.name)
    .outerjoin(ChannelRow, ChannelRow.id == Campaign.channel_id)
    .outerjoin(User, User.id == Campaign.created_by)
    .where(Campaign.id.in_(_ids), Campaign.deleted_at.is_(None))
    .execution_options(populate_existing=True)
)
_NEWEST = sa.select(sa.func.max(Run.id)).where(Run.campaign_id.in_(_ids)).group_by(Run.campaign_id)
_LISTED = sa.select(*(getattr(Run, name) for name in ListedRun._fields), Run.repeats)
# A union, because PostgreSQL reads the whole table for an OR of these.
_RUNS = sa.union(
    _LISTED.where(Run.campaign_id.in_(_ids), Run.finished_at.is_(None)),
    _LISTED.where(Run.id.in_(_NEWEST.where(Run.repeats.is_(None)))),
    _LISTED.where(Run.id.in_(_NEWEST)),
)
_RUN_COUNTS = (
    sa.select(Run.campaign_id, sa.func.count())
    .where(Run.campaign_id.in_(_ids), Run.repeats.is_(None), Run.state != RunState.MISSED)
    .group_by(Run.campaign_id)
)


class ListedRuns(NamedTuple):
    """What the list shows of the runs of some campaigns, each by the campaign's id."""

    unfinished: dict[int, ListedRun]
    newest: dict[int, ListedRun]
    """Not counting those that repeat another one."""
    ended_at: dict[int, dt.datetime]
    """When the newest run ended, also one that repeats another."""


def runs(session: Session, campaign_ids: Sequence[int]) -> ListedRuns:
    result = ListedRuns({}, {}, {})
    for *columns, repeats in session.execute(_RUNS, {"ids": campaign_ids}):
        run = ListedRun(*columns)
        campaign_id = run.campaign_id
        if run.finished_at is None:
            result.unfinished[campaign_id] = run
        else:
            result.ended_at[campaign_id] = max(run.finished_at, result.ended_at.get(campaign_id, run.finished_at))
        if repeats is None and (campaign_id not in result.newest or result.newest[campaign_id].id < run.id):
            result.newest[campaign_id] = run
    return result


def count_runs(session: Session, campaign_ids: Sequence[int]) -> dict[int, int]:
    """Return {campaign id: number of runs}; runs that repeat another one and missed ones do not count."""
    rows = session.execute(_RUN_COUNTS, {"ids": campaign_ids}) if campaign_ids else ()
    return {campaign: n for campaign, n in rows}  # noqa: C416 a Row is no pair to mypy
