"""Settings of administrators for the whole product: frequency caps of marketing messages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.contacts.audience import CAPS
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import users
from smsapp.store.db import current_session, writing

MOST_PER_DAY, MOST_PER_WEEK = 20, 50


@dataclass(frozen=True)
class FrequencyCaps:
    """The most marketing messages to one number per calendar day and per seven days; None = no limit."""

    enabled: bool
    per_day: int | None
    per_week: int | None


SUGGESTED = FrequencyCaps(enabled=False, per_day=1, per_week=3)


def frequency_caps() -> FrequencyCaps:
    """Return the saved caps; the suggested ones, disabled, if none were ever saved."""
    value = users.preference(current_session(), CAPS)
    return SUGGESTED if value is None else FrequencyCaps(value["enabled"], value.get("per_day"), value.get("per_week"))


def save_frequency_caps(caps: FrequencyCaps, by: Actor, now: dt.datetime) -> None:
    """Save the caps: they apply to every run that is opened from now on. Raises Refusal with the problems."""
    require(by, Right.SENDING_WRITE)
    problems = _problems(caps)
    if problems:
        raise Refusal(*problems)
    limits = {"per_day": caps.per_day, "per_week": caps.per_week}
    value = {"enabled": caps.enabled} | {name: most for name, most in limits.items() if most is not None}
    with writing() as session:
        if users.preference(session, CAPS) == value:
            return
        users.save_preference(session, CAPS, value)
        audit_log.log_action(session, by, "change", "preference", CAPS, now, **value)


def _problems(caps: FrequencyCaps) -> list[Problem]:
    problems = []
    if caps.per_day is not None and not 1 <= caps.per_day <= MOST_PER_DAY:
        problems.append(Problem("cap_per_day", "per_day", {"most": MOST_PER_DAY}))
    if caps.per_week is not None and not 1 <= caps.per_week <= MOST_PER_WEEK:
        problems.append(Problem("cap_per_week", "per_week", {"most": MOST_PER_WEEK}))
    if not problems and caps.per_day and caps.per_week and caps.per_week < caps.per_day:
        problems.append(Problem("cap_week_below_day", "per_week", {"per_day": caps.per_day}))
    if caps.enabled and caps.per_day is None and caps.per_week is None:
        problems.append(Problem("cap_missing", "per_day"))
    return problems
