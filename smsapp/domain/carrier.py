"""The codes of China's carriers, whichever provider passes them on, and their hours for marketing texts."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.outcome import Outcome

ARRIVED = frozenset({"DELIVRD", "DELIVERED"})
CHINA = dt.timezone(dt.timedelta(hours=8))
OPENS, CLOSES = 8, 22
"""Marketing texts are accepted between these hours, Chinese time."""
ASK_AGAIN = 600.0
"""Seconds to wait when a provider says that it is out of hours although the usual hours say otherwise."""

OUTCOMES: dict[str, Outcome] = {
    "MK:0001": Outcome.NO_SUCH_SUBSCRIBER,
    "MI:0210": Outcome.NO_SUCH_SUBSCRIBER,
    "CB:0001": Outcome.NO_SUCH_SUBSCRIBER,
    "DB:0102": Outcome.SUSPENDED,
    "MK:0005": Outcome.SUSPENDED,
    "MK:0013": Outcome.SUSPENDED,
    "MK:0010": Outcome.SWITCHED_OFF,
    "MK:0023": Outcome.SWITCHED_OFF,
    "MBBLACK": Outcome.OPTED_OUT,
    "DBBLACK": Outcome.OPTED_OUT,
    "TDBLACK": Outcome.OPTED_OUT,
    "BLACK": Outcome.OPTED_OUT,
    "DB:0144": Outcome.OPTED_OUT,
    "KEYWORD": Outcome.CONTENT_REFUSED,
    "IB:0008": Outcome.THROTTLED,
    "MI:0061": Outcome.THROTTLED,
    "EXPIRED": Outcome.EXPIRED,
    "REJECTD": Outcome.BLOCKED_BY_CARRIER,
}


def outcome(code: str) -> Outcome:
    """Return why a message did not arrive; Outcome.UNKNOWN for an unknown code."""
    known_outcome = OUTCOMES.get(code.strip().upper())
    if known_outcome is not None:
        return known_outcome
    return Outcome.PROVIDER_FAULT if code.upper().startswith("NP:") else Outcome.UNKNOWN


def seconds_until_open(now: dt.datetime) -> float:
    """Return the seconds to wait after a refusal for being outside the hours for marketing; `now` is aware."""
    here = now.astimezone(CHINA)
    if OPENS <= here.hour < CLOSES:
        return ASK_AGAIN
    opens = here.replace(hour=OPENS, minute=0, second=0, microsecond=0)
    return (opens + dt.timedelta(days=here.hour >= CLOSES) - here).total_seconds()


def national(phone: str) -> str:
    """Return a number as Chinese providers write it: eleven digits in China, else digits with the country code."""
    return phone[3:] if phone.startswith("+86") else phone[1:]
