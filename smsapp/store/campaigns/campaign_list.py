"""The list of campaigns: filters, counts and keyset pages, for a hundred thousand of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from smsapp.domain.campaign import Sort, Status, Tab
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign, search_key
from smsapp.store.db import holds
from smsapp.store.runs.runs import Run


@dataclass(frozen=True)
class Wanted:
    """Which campaigns to list; what is empty does not narrow."""

    tab: Tab = Tab.ALL
    status: Status | None = None
    keyword: str = ""
    """A part of the name; every character of it is a letter, also % and _."""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    """Created in [since, until)."""
    channel_id: int | None = None
    sort: Sort = Sort.NEWEST


@dataclass(frozen=True)
class Page:
    """Ids of one page in order, and whether there are more on either side."""

    ids: Sequence[int]
    newer: bool
    older: bool


@dataclass(frozen=True)
class _Leg:
    """A stretch of an order that one index serves: rows that meet `condition`, by `columns`, which end with the id."""

    columns: tuple[InstrumentedAttribute[Any], ...]
    descending: bool
    condition: sa.ColumnElement[bool] | None = None


ORDERS: dict[Sort, tuple[_Leg, ...]] = {
    Sort.NEWEST: (_Leg((Campaign.created_at, Campaign.id), descending=True),),
    Sort.NAME: (_Leg((Campaign.name_key, Campaign.id), descending=False),),
    # Those that are not due any more come after those that are: two legs, because no index of either database
    # serves NULLS LAST together with a keyset.
    Sort.DUE: (
        _Leg((Campaign.next_due_at, Campaign.id), descending=False, condition=Campaign.next_due_at.is_not(None)),
        _Leg((Campaign.id,), descending=True, condition=Campaign.next_due_at.is_(None)),
    ),
}


def counts(session: Session, wanted: Wanted) -> dict[tuple[bool, str], int]:
    """Return (recurring, status) -> campaigns, under every filter except tab and status: one grouped query."""
    statement = (
        sa.select(Campaign.recurring, Campaign.status, sa.func.count())
        .where(Campaign.deleted_at.is_(None), *_narrowing(wanted))
        .group_by(Campaign.recurring, Campaign.status)
    )
    return {(recurring, status): n for recurring, status, n in session.execute(statement)}


def page(session: Session, wanted: Wanted, *, after: int = 0, before: int = 0, limit: int = 25) -> Page:
    """Return the page behind the campaign `after`, or the one in front of `before`; without either the first one.

    A campaign that is deleted meanwhile keeps its place, so a shared address goes on working.
    """
    backwards = bool(before)
    anchor = session.get(Campaign, before or after) if before or after else None
    legs = ORDERS[wanted.sort]
    standing = _standing(legs, anchor) if anchor is not None else (len(legs) - 1 if backwards else 0)
    found: list[int] = []
    for index in range(standing, -1, -1) if backwards else range(standing, len(legs)):
        if len(found) > limit:
            break
        leg = legs[index]
        start = anchor if index == standing else None
        statement = _leg(leg, wanted, start, backwards=backwards).limit(limit + 1 - len(found))
        found.extend(session.scalars(statement))
    more, ids = len(found) > limit, found[:limit]
    if backwards:
        return Page(ids[::-1], newer=more, older=anchor is not None)
    return Page(ids, newer=anchor is not None, older=more)


def _standing(legs: Sequence[_Leg], anchor: Campaign) -> int:
    """Return the leg the anchor is on."""
    return 0 if len(legs) == 1 or anchor.next_due_at is not None else 1


def _leg(leg: _Leg, wanted: Wanted, start: Campaign | None, *, backwards: bool) -> sa.Select[int]:
    place = sa.tuple_(*leg.columns)
    falling = leg.descending is not backwards
    statement = sa.select(Campaign.id).where(Campaign.deleted_at.is_(None), *_narrowing(wanted), *_standing_in(wanted))
    if leg.condition is not None:
        statement = statement.where(leg.condition)
    if start is not None:
        here = sa.tuple_(*(sa.literal(getattr(start, column.key), column.type) for column in leg.columns))
        statement = statement.where(place < here if falling else place > here)
    return statement.order_by(*(column.desc() if falling else column.asc() for column in leg.columns))


def _narrowing(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.keyword:
        found.append(holds(Campaign.name_key, search_key(wanted.keyword)))
    if wanted.since is not None:
        found.append(Campaign.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Campaign.created_at < wanted.until)
    if wanted.channel_id is not None:
        found.append(Campaign.channel_id == wanted.channel_id)
    return found


def _standing_in(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.tab is not Tab.ALL:
        # Behind coalesce, lest SQLite takes an index that begins with it, finds most of the table and sorts that.
        found.append(sa.func.coalesce(Campaign.recurring, sa.false()) == (wanted.tab is Tab.RECURRING))
    if wanted.status is not None:
        found.append(Campaign.status == wanted.status)
    return found


def going(session: Session, campaign_ids: Sequence[int]) -> Sequence[Run]:
    """Return the runs of these campaigns that are not over."""
    statement = sa.select(Run).where(Run.campaign_id.in_(campaign_ids), Run.finished_at.is_(None))
    return session.scalars(statement.execution_options(populate_existing=True)).all()


def latest(session: Session, campaign_ids: Sequence[int]) -> Sequence[Run]:
    """Return the newest first sending of each of these campaigns."""
    newest = sa.select(sa.func.max(Run.id)).where(Run.campaign_id.in_(campaign_ids), Run.repeats.is_(None))
    return session.scalars(sa.select(Run).where(Run.id.in_(newest.group_by(Run.campaign_id)))).all()


def sendings(session: Session, campaign_ids: Sequence[int]) -> dict[int, int]:
    """Return how many times each of these campaigns was sent; runs that repeat one and missed ones do not count."""
    took_place = sa.and_(Run.repeats.is_(None), Run.state != RunState.MISSED)
    counted = sa.select(Run.campaign_id, sa.func.count()).where(Run.campaign_id.in_(campaign_ids), took_place)
    return {campaign: n for campaign, n in session.execute(counted.group_by(Run.campaign_id))}  # noqa: C416


def finished_since(session: Session, campaign_ids: Sequence[int], since: dt.datetime) -> bool:
    """Say whether a run of one of these campaigns ended at this moment or later."""
    statement = sa.select(Run.id).where(Run.campaign_id.in_(campaign_ids), Run.finished_at >= since).limit(1)
    return bool(campaign_ids) and session.scalar(statement) is not None
