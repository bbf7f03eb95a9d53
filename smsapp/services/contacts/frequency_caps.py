"""What administrators set for the whole product: how many marketing messages one number may get."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from smsapp.domain.errors import Problem, Refusal
from smsapp.services.contacts.audience import CAPS
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session, upsert, writing
from smsapp.store.users import Preference

MOST_PER_DAY, MOST_PER_WEEK = 20, 50


@dataclass(frozen=True)
class FrequencyCaps:
    """At most so many marketing messages to one number per calendar day and per seven days; None = as many as come."""

    enabled: bool
    per_day: int | None
    per_week: int | None


SUGGESTED = FrequencyCaps(enabled=False, per_day=1, per_week=3)


def frequency_caps() -> FrequencyCaps:
    """Return the caps as they were saved last; what is suggested, switched off, if nobody ever saved any."""
    kept = current_session().scalar(_KEPT)
    return SUGGESTED if kept is None else FrequencyCaps(kept["enabled"], kept.get("per_day"), kept.get("per_week"))


def save_frequency_caps(caps: FrequencyCaps, by: Actor, now: dt.datetime) -> None:
    """Keep the caps: they decide about every run that is opened from now on. Raises Refusal with what is wrong."""
    problems = _problems(caps)
    if problems:
        raise Refusal(*problems)
    limits = {"per_day": caps.per_day, "per_week": caps.per_week}
    value = {"enabled": caps.enabled} | {name: most for name, most in limits.items() if most is not None}
    with writing() as session:
        if session.scalar(_KEPT) == value:
            return
        kept = upsert(Preference).values(name=CAPS, value=value)
        session.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
        audit_log.log_action(session, by, "change", "preference", CAPS, now, **value)


_KEPT = sa.select(Preference.value).where(Preference.name == CAPS)


def _problems(caps: FrequencyCaps) -> list[Problem]:
    found = []
    if caps.per_day is not None and not 1 <= caps.per_day <= MOST_PER_DAY:
        found.append(Problem("cap_per_day", "per_day", {"most": MOST_PER_DAY}))
    if caps.per_week is not None and not 1 <= caps.per_week <= MOST_PER_WEEK:
        found.append(Problem("cap_per_week", "per_week", {"most": MOST_PER_WEEK}))
    if not found and caps.per_day and caps.per_week and caps.per_week < caps.per_day:
        found.append(Problem("cap_week_below_day", "per_week", {"per_day": caps.per_day}))
    if caps.enabled and caps.per_day is None and caps.per_week is None:
        found.append(Problem("cap_missing", "per_day"))
    return found
