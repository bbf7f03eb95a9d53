"""The calendar of days of rest in force: own days, and for years without any those that are shipped."""

from __future__ import annotations

from collections.abc import Iterable

from smsapp.domain.rest_days import NO_REST_DAYS, RestDays, merged
from smsapp.domain.schedule import Schedule
from smsapp.store import rest_days as store
from smsapp.store.db import current_session


def rest_days() -> RestDays:
    """Return the calendar, as the current transaction sees it."""
    return merged(store.stored(current_session()))


def rest_days_of(schedules: Iterable[Schedule]) -> RestDays:
    """Return the calendar for these schedules: it is read only if one of them rests."""
    return rest_days() if any(schedule.rest for schedule in schedules) else NO_REST_DAYS
