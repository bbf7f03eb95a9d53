"""The calendar of days of rest: imported from a file, taken back to the shipped one; waiting campaigns follow it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from smsapp.domain import schedule as schedules
from smsapp.domain.calendar_file import CalendarFile, read
from smsapp.domain.campaign import Action
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rest_days import SpecialDay
from smsapp.domain.rights import Right
from smsapp.domain.schedule import Schedule
from smsapp.services.platform import calendar
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import starting
from smsapp.store import queue
from smsapp.store import rest_days as store
from smsapp.store.campaigns import campaigns
from smsapp.store.db import current_session, writing

NOUN = "calendar"


@dataclass(frozen=True)
class Changed:
    """What a change of the calendar did."""

    file: CalendarFile
    moved: int
    """Waiting campaigns that are due at another moment now."""
    stopped: int
    """Waiting campaigns that had nothing left to send."""


def take_file(content: bytes, actor: Actor, now: dt.datetime) -> Changed:
    """Replace the years a file is about by its days. Raises Refusal, and changes nothing, if a row cannot be read."""
    require(actor, Right.SENDING_WRITE)
    file = read(content)
    if file.complaints:
        raise Refusal(*(Problem("rest_day_row", "file", {"row": row, **_facts(p)}) for row, p in file.complaints[:10]))
    if not file.days:
        raise Refusal(Problem("rest_day_none", "file"))
    return _replace(file, file.years, actor, now)


def restore(year: int, actor: Actor, now: dt.datetime) -> Changed:
    """Take the days of this year back to the shipped ones."""
    require(actor, Right.SENDING_WRITE)
    return _replace(CalendarFile((), ()), [year], actor, now)


def own_years() -> list[int]:
    """Return the years whose days were imported."""
    return sorted({day.date.year for day in store.stored(current_session())})


def by_year() -> dict[int, list[SpecialDay]]:
    """Return the days in force by year, the newest year first."""
    years: dict[int, list[SpecialDay]] = {}
    for date, day in sorted(calendar.rest_days().days.items()):
        years.setdefault(date.year, []).append(day)
    return dict(sorted(years.items(), reverse=True))


def _facts(problem: Problem) -> dict[str, object]:
    return {"text": "", **problem.facts}


def _replace(file: CalendarFile, years: Collection[int], actor: Actor, now: dt.datetime) -> Changed:
    with writing() as session:
        store.replace(session, years, file.days)
        session.flush()
        rest_days = calendar.rest_days()
        moved: dict[int, dt.datetime] = {}
        stopped: list[int] = []
        for campaign in campaigns.waiting_for_later(session, now):
            schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
            due = schedules.next_due(schedule, now, rest_days) if schedule.rest else campaign.next_due_at
            if due is None:
                campaigns.move(session, campaign.id, Action.STOP, next_due_at=None)
                log_action(session, actor, "stop", "campaign", campaign.id, now, name=campaign.name)
                stopped.append(campaign.id)
            elif due != campaign.next_due_at:
                campaigns.set_due(session, campaign.id, due)
                moved[campaign.id] = due
        facts = {"years": ", ".join(map(str, sorted(years))), "n": len(file.days)}
        log_action(session, actor, "import" if file.days else "restore_days", NOUN, "", now, **facts)
    for campaign_id, due in moved.items():
        starting.enqueue_when_due(campaign_id, due)
    for campaign_id in stopped:
        queue.cancel_scheduled(starting.job_id(campaign_id))
    return Changed(file, len(moved), len(stopped))
