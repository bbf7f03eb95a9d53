"""Single messages: one text to one person, asked for by a program; and what has become of one."""

from __future__ import annotations

import datetime as dt
import enum
from zoneinfo import ZoneInfo

from smsapp.domain.campaign import LONGEST_NAME

NAME = "API: "
"""How the name of a campaign of single messages begins."""
TAG = "API"
"""The tag of such campaigns."""
COMMAND = 0
"""In place of an API key's id: a command has asked for it."""
TAKES_FOR = dt.timedelta(hours=1)
"""How long a run takes more people after it was opened; at most until its day is over."""
MOST_RUNS = 8
"""Runs of one campaign that take people at a time. One run has one message to each number."""


class Fate(enum.StrEnum):
    """Where a single message stands before it is in a ledger, or if it never will be."""

    WAITING = "waiting"
    """Stored; it will be planned within a moment, or once its run may be."""
    EXCLUDED = "excluded"
    """Left out for a reason, as in every campaign."""
    REMOVED = "removed"
    """Its message was removed after MESSAGE_MONTHS."""
    LOST = "lost"
    """It was planned, and an older copy of the database restored since: nobody knows whether it has left."""


class NeverPlanned(enum.StrEnum):
    """Why a single message is in no ledger, besides the reasons for which people are excluded."""

    CONTACT_GONE = "contact_gone"
    """The contact was removed before the message was planned."""
    RUN_ENDED = "run_ended"
    """Its run was held, and ended before its audience was frozen."""
    TEMPLATE_GONE = "template_gone"
    """The template was deleted before the message was planned."""


def name_of(template_name: str, key_name: str, day: dt.date) -> str:
    """Return the name of the campaign of a key's single messages from this template on this day."""
    return f"{NAME}{template_name} · {key_name} · {day.isoformat()}"[:LONGEST_NAME]


def day_of(now: dt.datetime, zone: str) -> dt.date:
    return now.astimezone(ZoneInfo(zone)).date()


def midnight_of(now: dt.datetime, zone: str) -> dt.datetime:
    """Return the moment at which the day of `now` began."""
    day = day_of(now, zone)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def takes_until(now: dt.datetime, zone: str) -> dt.datetime:
    """Return until when a run that is opened now takes people."""
    next_day = day_of(now, zone) + dt.timedelta(days=1)
    return min(now + TAKES_FOR, dt.datetime.combine(next_day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC))
