"""The calendar of days of rest in force: own days, and for years without any those that are shipped."""

from __future__ import annotations

from smsapp.domain.rest_days import RestDays, merged
from smsapp.store import rest_days as store
from smsapp.store.db import current_session


def rest_days() -> RestDays:
    """Return the calendar, as the current transaction sees it."""
    return merged(store.stored(current_session()))
