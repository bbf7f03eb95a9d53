"""The list of campaigns: each row with its numbers and allowed actions, and the next fires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

from smsapp.domain import message
from smsapp.domain import schedule as schedules
from smsapp.domain.audience_rule import NamedAudience
from smsapp.domain.campaign import Action, Status, Tab, offered
from smsapp.domain.funnel import Funnel
from smsapp.domain.run import RunStanding, RunState, RunVerdict, standing
from smsapp.domain.schedule import Fire, Schedule
from smsapp.domain.tags import Item
from smsapp.services.platform import calendar, tags
from smsapp.store.campaigns import campaign_list
from smsapp.store.campaigns.campaign_list import ListedRun
from smsapp.store.campaigns.campaigns import Campaign, due_between
from smsapp.store.db import current_session
from smsapp.store.runs import recipients
from smsapp.store.runs.funnels import campaign_funnels

Wanted = campaign_list.CampaignFilter

PAGE = 25
AHEAD = dt.timedelta(hours=48)
OVERDUE = dt.timedelta(days=30)
SHOWN_AHEAD = 6
BUSY, QUIET, RECEIPTS = 2, 10, 15
"""Seconds until the list reloads: while texts leave, while a run is held, while receipts come in."""
RECEIPTS_WATCHED = dt.timedelta(hours=1)
"""After a run has been over for this long its row no longer reloads for receipts."""
LONGEST_WAIT = 12 * 3600


@dataclass(frozen=True)
class Line:
    """One row of the list."""

    campaign: Campaign
    audience: NamedAudience
    channel: str
    creator: str
    funnel: Funnel | None
    """All runs added up; None before the first one."""
    run: ListedRun | None
    """The unfinished run, if there is one."""
    pace: float | None
    """Messages per second recently, while sending."""
    last: ListedRun | None = None
    """The newest sending, over or not: when it began and ended."""
    ended_at: dt.datetime | None = None
    """When a run ended last, also one that repeats another."""
    sendings: int = 1
    """How many sendings the numbers add up; of a recurring campaign a person counts once in each."""
    tags: Sequence[str] = ()

    @cached_property
    def schedule(self) -> Schedule:
        return Schedule.from_json({"zone": self.campaign.zone} | self.campaign.schedule)

    @cached_property
    def offered(self) -> list[Action]:
        return offered(Status(self.campaign.status))

    @property
    def face(self) -> str:
        """Everything the row holds, as text: two equal faces are drawn alike. "" while it counts down."""
        if self.pace is not None or self.due_at is not None:
            return ""
        return repr([_facts(getattr(self, item.name)) for item in fields(self)])

    @property
    def may_edit(self) -> bool:
        return Action.EDIT in self.offered

    @property
    def may_stop(self) -> bool:
        return Action.STOP in self.offered

    @property
    def was_sent(self) -> bool:
        """Whether it has a run, and so a report to keep."""
        return self.run is not None or self.last is not None

    @property
    def may_delete(self) -> bool:
        return Action.DELETE in self.offered and not self.was_sent

    @property
    def is_archived(self) -> bool:
        return self.campaign.archived_at is not None

    @property
    def may_archive(self) -> bool:
        return Action.ARCHIVE in self.offered and not self.is_archived

    @property
    def due_at(self) -> dt.datetime | None:
        """When a campaign that waits begins."""
        return self.campaign.next_due_at if self.campaign.status == Status.WAITING else None

    @property
    def progress(self) -> tuple[int, int] | None:
        """Messages that are done, and all of them, while a run goes on."""
        if self.run is None or self.funnel is None:
            return None
        return self.funnel.planned - self.funnel.open, self.funnel.planned

    @property
    def held(self) -> str:
        """Why the run is held; "" if it is not."""
        return self.run.hold_reason if self.run is not None and self.run.state == RunState.HELD else ""

    @property
    def standing(self) -> RunStanding | RunVerdict | None:
        """The standing of a held run, or NOBODY if there was nobody to write to; None if the status is enough."""
        if self.run is not None and self.run.state == RunState.HELD:
            return standing(self.run.state, self.run.hold_reason, self.run.verdict)
        is_sent = self.campaign.status == Status.SENT
        return RunVerdict.NOBODY if is_sent and self.funnel is not None and not self.funnel.planned else None

    @property
    def losses(self) -> list[tuple[message.Status, int]]:
        """Messages that failed, expired or are unconfirmed, which the status "sent" would hide."""
        status = message.Status
        states = (status.REFUSED, status.UNDELIVERED, status.UNCONFIRMED, status.EXPIRED)
        return [(state, n) for state in states if (n := self.funnel.count(state))] if self.funnel else []

    def ends_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return when the run will be over at its present pace."""
        if self.run is None or self.funnel is None or not self.pace:
            return None
        return now + dt.timedelta(seconds=self.funnel.open / self.pace)


@dataclass(frozen=True)
class UpcomingSlots:
    """One fire within the next hours."""

    campaign: Campaign
    fire: Fire


@dataclass(frozen=True)
class Listing:
    """One page of the list under its filters."""

    lines: Sequence[Line]
    newer: int
    """The campaign before which the previous page ends, or 0."""
    older: int
    """The campaign after which the next page begins, or 0."""
    counts: Mapping[tuple[bool, str], int]
    ahead: Sequence[UpcomingSlots]
    more_ahead: bool
    refresh: int | None
    """Seconds until the list reloads; None while nothing can change by itself."""
    is_counted: bool = True
    """False: `counts` is empty, because counting would take long."""

    def status_count(self, status: Status | None, tab: Tab) -> int:
        """Return how many campaigns of the tab have this status; None counts every status of it."""
        return sum(
            n
            for (recurring, row_status), n in self.counts.items()
            if (tab is Tab.ALL or recurring is (tab is Tab.RECURRING)) and status in (None, row_status)
        )


def listing(filters: Wanted, now: dt.datetime, *, after: int = 0, before: int = 0, limit: int = PAGE) -> Listing:
    """Return the page after the campaign `after`, or before `before`, or the first one."""
    page = campaign_list.page(current_session(), filters, after=after, before=before, limit=limit)
    rows = lines(page.ids)
    counts = campaign_list.counts(current_session(), filters)
    ahead = upcoming(now, AHEAD, SHOWN_AHEAD + 1)
    return Listing(
        lines=rows,
        newer=page.ids[0] if page.newer and page.ids else 0,
        older=page.ids[-1] if page.older and page.ids else 0,
        counts=counts,
        ahead=ahead[:SHOWN_AHEAD],
        more_ahead=len(ahead) > SHOWN_AHEAD,
        refresh=_refresh(rows, now),
        is_counted=bool(counts) or not rows,
    )


def lines(ids: Sequence[int]) -> list[Line]:
    """Return the rows of these campaigns in this order, without deleted ones."""
    if not ids:
        return []
    row_by_id = campaign_list.rows(current_session(), ids)
    funnels = campaign_funnels(current_session(), ids)
    runs = campaign_list.runs(current_session(), ids)
    sending = [run.id for run in runs.unfinished.values() if run.state == RunState.SENDING]
    paces = recipients.paces(current_session(), sending)
    sendings = campaign_list.count_runs(
        current_session(), [id_ for id_ in ids if id_ in row_by_id and row_by_id[id_].campaign.recurring]
    )
    tags_by_id = tags.of_each(Item.CAMPAIGN, ids)
    result = []
    for campaign_id in ids:
        if campaign_id not in row_by_id:
            continue
        run = runs.unfinished.get(campaign_id)
        result.append(
            Line(
                *row_by_id[campaign_id],
                funnels.get(campaign_id),
                run,
                paces.get(run.id) if run else None,
                runs.newest.get(campaign_id),
                runs.ended_at.get(campaign_id),
                sendings.get(campaign_id, 1),
                tags_by_id.get(campaign_id, ()),
            )
        )
    return result


_COLUMNS = tuple(Campaign.__table__.columns.keys())


def _facts(value: object) -> object:
    """Return the loaded columns of a row of the database; any other value as it is."""
    if not isinstance(value, Campaign):
        return value
    loaded = vars(value)
    return [loaded.get(name) for name in _COLUMNS]


def upcoming(now: dt.datetime, span: dt.timedelta, most: int) -> list[UpcomingSlots]:
    """Return the first `most` fires of waiting campaigns within the span; those that should have begun come first."""
    fires: list[UpcomingSlots] = []
    # The earliest fires belong to the campaigns that are due first, so at most `most` campaigns are read.
    due = due_between(current_session(), now - OVERDUE, now + span, most)
    schedule_by_id = {campaign.id: Schedule.from_json(campaign.schedule) for campaign in due}
    rest_days = calendar.rest_days_of(schedule_by_id.values())
    for campaign in due:
        if campaign.next_due_at is not None:
            before = campaign.next_due_at - dt.timedelta(seconds=1)
            planned = schedules.fires_until(schedule_by_id[campaign.id], before, now + span, rest_days)
            fires.extend(UpcomingSlots(campaign, fire) for fire in planned)
    return sorted(fires, key=lambda entry: (entry.fire.at, entry.campaign.id))[:most]


def _refresh(rows: Sequence[Line], now: dt.datetime) -> int | None:
    return min((wish for line in rows if (wish := _wish(line, now)) is not None), default=None)


def _wish(line: Line, now: dt.datetime) -> int | None:
    """Return in how many seconds a row will be different; None if it stays as it is."""
    if line.campaign.status == Status.SENDING:
        return QUIET if line.held else BUSY
    if line.campaign.status == Status.WAITING and line.campaign.next_due_at is not None:
        seconds = (line.campaign.next_due_at - now).total_seconds()
        # If a campaign is long overdue, nothing starts campaigns at the moment; reloading faster does not help.
        return min(max(BUSY, int(seconds) + 1), LONGEST_WAIT) if seconds > -60 else QUIET
    awaits_receipts = line.funnel is not None and line.funnel.awaiting
    return RECEIPTS if awaits_receipts and line.ended_at and line.ended_at >= now - RECEIPTS_WATCHED else None
