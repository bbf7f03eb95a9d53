"""The home page: what goes on, what will happen, what was sent, and how it arrived."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Status
from smsapp.domain.funnel import Funnel
from smsapp.domain.schedule import Schedule
from smsapp.services.campaigns import campaign_list
from smsapp.services.campaigns.campaign_list import Line, UpcomingSlots, Wanted
from smsapp.services.channels import accounts
from smsapp.services.platform import calendar
from smsapp.store.campaigns import campaign_list as store
from smsapp.store.campaigns import home
from smsapp.store.campaigns.campaigns import Campaign, due_between
from smsapp.store.db import current_session
from smsapp.store.runs.funnels import run_funnels
from smsapp.store.runs.runs import Run

SHOWN = 8
"""Running campaigns, next fires and last sends at most."""
MOST_FIRES = 1_000
"""Fires and runs of a month at most."""
DAYS = 30


@dataclass(frozen=True)
class LastSend:
    """A run that is over."""

    run: Run
    name: str
    funnel: Funnel


@dataclass(frozen=True)
class DayBar:
    """Messages of the runs of one day that have a receipt."""

    date: dt.date
    delivered: int
    undelivered: int


@dataclass(frozen=True)
class CalendarEntry:
    """A run, or a fire to come; `planned` is None where nobody knows the size yet."""

    campaign_id: int
    name: str
    at: dt.datetime
    channel: str
    planned: int | None
    is_past: bool


@dataclass(frozen=True)
class ChannelLoad:
    """Messages of one day over one channel, and the hours they take at its rate; 0 where it has none."""

    channel: str
    messages: int
    hours: float


@dataclass(frozen=True)
class CalendarDay:
    """One day of the calendar."""

    date: dt.date
    entries: Sequence[CalendarEntry]
    load: Sequence[ChannelLoad]
    in_month: bool


@dataclass(frozen=True)
class Home:
    """What the page shows beside what needs a person."""

    going_on: Sequence[Line]
    ahead: Sequence[UpcomingSlots]
    last: Sequence[LastSend]
    bars: Sequence[DayBar]


def is_blank() -> bool:
    """Return whether there is no campaign yet, so that the first steps are shown."""
    return home.is_blank(current_session())


def going_on() -> list[Line]:
    """Return the campaigns that are being sent, newest first."""
    page = store.page(current_session(), Wanted(status=Status.SENDING), limit=SHOWN)
    return campaign_list.lines(page.ids)


def overview(now: dt.datetime, zone: dt.tzinfo) -> Home:
    """Return the page's parts; days are those of `zone`."""
    newest = home.newest_finished(current_session(), SHOWN)
    runs = sorted(newest, key=lambda pair: pair[0].slot, reverse=True)
    funnels = run_funnels(current_session(), [run.id for run, _name in runs])
    return Home(
        going_on=going_on(),
        ahead=campaign_list.upcoming(now, campaign_list.AHEAD, SHOWN),
        last=[LastSend(run, name, funnels[run.id]) for run, name in runs if run.id in funnels],
        bars=_bars(now, zone),
    )


def _bars(now: dt.datetime, zone: dt.tzinfo) -> list[DayBar]:
    """Return the last days, gaps included; none if nothing came in them."""
    today = now.astimezone(zone).date()
    first = today - dt.timedelta(days=DAYS - 1)
    since = _midnight(first, zone)
    counts = {
        (day.date, day.state): day.n
        for day in home.receipts_by_day(current_session(), since, now.astimezone(zone).utcoffset() or dt.timedelta())
    }
    if not counts:
        return []
    dates = [first + dt.timedelta(days=n) for n in range(DAYS)]
    return [DayBar(date, counts.get((date, "delivered"), 0), counts.get((date, "undelivered"), 0)) for date in dates]


def month_plan(month: dt.date, now: dt.datetime, zone: dt.tzinfo) -> list[CalendarDay]:
    """Return the whole weeks, from Monday, that hold this month (any day of it) in `zone`.

    What has begun comes from runs, what will from the schedules of waiting campaigns. The size of what will is that of
    the campaign's newest run, or of its review.
    """
    first = month.replace(day=1)
    after = (first + dt.timedelta(days=31)).replace(day=1)
    begin = first - dt.timedelta(days=first.weekday())
    end = after + dt.timedelta(days=-after.weekday() % 7)
    since, until = _midnight(begin, zone), _midnight(end, zone)
    by_day: dict[dt.date, list[CalendarEntry]] = {}
    for entry in (*_past(since, until), *_future(now, since, until)):
        by_day.setdefault(entry.at.astimezone(zone).date(), []).append(entry)
    rates = {channel.name: channel.rate or 0 for channel in accounts.everything()}
    dates = [begin + dt.timedelta(days=n) for n in range((end - begin).days)]
    return [
        CalendarDay(
            date,
            sorted(by_day.get(date, ()), key=lambda entry: (entry.at, entry.campaign_id)),
            _load(by_day.get(date, ()), rates),
            first <= date < after,
        )
        for date in dates
    ]


def _past(since: dt.datetime, until: dt.datetime) -> list[CalendarEntry]:
    return [
        CalendarEntry(run.campaign_id, run.name, run.slot, run.channel, run.planned, is_past=True)
        for run in home.past_runs(current_session(), since, until, MOST_FIRES)
    ]


def _future(now: dt.datetime, since: dt.datetime, until: dt.datetime) -> list[CalendarEntry]:
    if until <= now:
        return []
    waiting = due_between(current_session(), now, until, MOST_FIRES)
    sizes = home.last_planned(current_session(), [campaign.id for campaign in waiting])
    channels = accounts.names()
    rest_days = calendar.rest_days()
    entries: list[CalendarEntry] = []
    for campaign in waiting:
        planned = sizes.get(campaign.id, _reviewed(campaign))
        channel = channels.get(campaign.channel_id or 0, "")
        schedule = Schedule.from_json(campaign.schedule)
        for fire in schedules.fires_until(schedule, max(now, since) - dt.timedelta(seconds=1), until, rest_days):
            entries.append(CalendarEntry(campaign.id, campaign.name, fire.at, channel, planned, is_past=False))
            if len(entries) >= MOST_FIRES:
                return entries
    return entries


def _reviewed(campaign: Campaign) -> int | None:
    """Return how many messages the review counted; None if it did not."""
    confirmed = (campaign.reviewed or {}).get("confirmed")
    return int(confirmed["planned"]) if confirmed else None


def _load(entries: Sequence[CalendarEntry], rates: dict[str, int]) -> list[ChannelLoad]:
    messages: Counter[str] = Counter()
    for entry in entries:
        messages[entry.channel] += entry.planned or 0
    return [
        ChannelLoad(channel, n, n / rates[channel] / 3600 if rates.get(channel) else 0.0)
        for channel, n in messages.most_common()
        if n
    ]


def _midnight(date: dt.date, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), zone).astimezone(dt.UTC)
