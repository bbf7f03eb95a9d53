"""Waiting campaigns follow the calendar of days of rest and the dates that a person skips."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.rest_days import DaysOff, Rest
from smsapp.domain.schedule import Kind, Schedule, next_fires
from smsapp.services.campaigns import calendar_days, campaign_list, skipped_dates
from smsapp.services.platform import calendar
from smsapp.services.sending import starting
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests import builders
from tests.engine import OPERATOR, campaign_due, waiting, work
from tests.fakes import FakeChannel, FakeClock

SEPTEMBER = dt.datetime(2026, 9, 27, 2, 0, tzinfo=dt.UTC)


def daily(**fields: Any) -> Schedule:
    return Schedule(Kind.DAILY, "Asia/Shanghai", dt.time(10), dt.date(2026, 9, 1), **fields)


def at_ten(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}T10:00+08:00")


def upcoming(schedule: Schedule, now: dt.datetime) -> Campaign:
    """A campaign that waits for the next fire of its schedule."""
    return waiting(now, schedule, next_fires(schedule, now, 1, calendar.rest_days())[0].at)


@pytest.mark.parametrize(
    "schedule",
    [
        daily(rest=Rest.WAIT),
        daily(rest=Rest.SKIP, days_off=DaysOff.NOT_WORKED, skipped=(dt.date(2026, 10, 9),)),
        Schedule(Kind.WEEKLY, "Asia/Shanghai", dt.time(10), dt.date(2026, 9, 1), weekdays=(1, 4), rest=Rest.WAIT),
    ],
)
def test_the_runs_that_really_begin_are_the_next_sends_that_were_shown(
    app: Flask, provider: FakeChannel, clock: FakeClock, schedule: Schedule
) -> None:
    # given the next eight sends as the pages show them, over the days of rest of October 2026
    builders.contacts(1)
    clock.now = SEPTEMBER
    shown = [fire.at for fire in next_fires(schedule, clock.now, 8, calendar.rest_days())]
    campaign = upcoming(schedule, clock.now)
    # when the scheduler starts it whenever it is due
    for _ in range(8):
        due = campaign_due(campaign)
        assert due is not None
        clock.now = due
        starting.start(campaign.id, clock.now)
        work(app, clock)
    # then
    assert list(current_session().scalars(sa.select(Run.slot).order_by(Run.slot))) == shown


def test_a_skipped_date_moves_what_is_due_and_can_be_taken_back(
    app: Flask, valkey: redis.Redis, clock: FakeClock
) -> None:
    clock.now = SEPTEMBER
    campaign = upcoming(daily(), clock.now)
    assert campaign_due(campaign) == at_ten("2026-09-28")
    skipped_dates.skip(campaign.id, dt.date(2026, 9, 28), OPERATOR, clock.now)
    assert campaign_due(campaign) == at_ten("2026-09-29")
    # the list of what comes next knows it, too
    assert [send.fire.at for send in campaign_list.upcoming(clock.now, dt.timedelta(days=3), 9)] == [
        at_ten("2026-09-29"),
    ]
    skipped_dates.unskip(campaign.id, dt.date(2026, 9, 28), OPERATOR, clock.now)
    assert campaign_due(campaign) == at_ten("2026-09-28")


def test_only_what_is_due_and_leaves_something_can_be_skipped(app: Flask, clock: FakeClock) -> None:
    clock.now = SEPTEMBER
    last_two = daily(end=dt.date(2026, 9, 29), rest=Rest.WAIT)
    campaign = upcoming(last_two, clock.now)
    with pytest.raises(Refusal) as refused:
        skipped_dates.skip(campaign.id, dt.date(2026, 10, 1), OPERATOR, clock.now)
    assert refused.value.problems[0].code == "skip_not_due"
    skipped_dates.skip(campaign.id, dt.date(2026, 9, 29), OPERATOR, clock.now)
    with pytest.raises(Refusal) as refused:
        skipped_dates.skip(campaign.id, dt.date(2026, 9, 28), OPERATOR, clock.now)
    assert refused.value.problems[0].code == "skip_leaves_nothing"
    assert campaign_due(campaign) == at_ten("2026-09-28")


def test_a_campaign_that_begins_at_this_moment_cannot_be_skipped_any_more(app: Flask, clock: FakeClock) -> None:
    clock.now = SEPTEMBER
    campaign = upcoming(daily(), clock.now)
    with pytest.raises(Conflict):
        skipped_dates.skip(campaign.id, dt.date(2026, 9, 28), OPERATOR, at_ten("2026-09-28"))
    with pytest.raises(Conflict):
        skipped_dates.skip(builders.campaign().id, dt.date(2026, 9, 28), OPERATOR, clock.now)


def test_an_imported_year_moves_the_campaigns_that_rest_on_it(
    app: Flask, valkey: redis.Redis, clock: FakeClock
) -> None:
    clock.now = SEPTEMBER
    resting, ending, other = (
        upcoming(schedule, clock.now)
        for schedule in (daily(rest=Rest.WAIT), daily(rest=Rest.SKIP, end=dt.date(2026, 9, 28)), daily())
    )
    # when a file says that the 28th is a day off
    changed = calendar_days.take_file(b"2026-09-28,off,ours\n2026-09-29,off,ours\n", OPERATOR, clock.now)
    # then
    assert (changed.moved, changed.stopped, calendar_days.own_years()) == (1, 1, [2026])
    assert campaign_due(resting) == at_ten("2026-09-30")
    current_session().refresh(ending)
    assert (ending.status, campaign_due(other)) == (Status.STOPPED, at_ten("2026-09-28"))
    # and back again
    assert calendar_days.restore(2026, OPERATOR, clock.now).moved == 1
    assert campaign_due(resting) == at_ten("2026-09-28")


def test_a_file_with_a_row_that_cannot_be_read_changes_nothing(app: Flask, clock: FakeClock) -> None:
    with pytest.raises(Refusal) as refused:
        calendar_days.take_file(b"2026-09-28,off\nsometime,off\n", OPERATOR, clock.now)
    assert refused.value.problems[0].facts == {"row": 2, "text": "sometime"}
    assert calendar_days.own_years() == []
