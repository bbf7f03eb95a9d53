"""Quotas of an AppKey: how much it may report in which time."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from smsapp.domain.trust import KeyKind

SERVER_TIMES = 10
"""Factor from the limits of a public key to those of a server key."""


class Measure(enum.StrEnum):
    """The unit that is counted."""

    REQUESTS = "requests"
    """Requests of any kind per minute."""
    RECORDS = "records"
    """Profile records per day."""
    NEW_CONTACTS = "new_contacts"
    """Contacts per day that nobody had reported before."""
    BYTES = "bytes"
    """Bytes of decompressed requests with profile records per day."""


Limits = Mapping[Measure, int]


def limits(kind: KeyKind, public: Limits) -> Limits:
    """Return the limits of a key of this kind, from those of public keys."""
    times = SERVER_TIMES if kind is KeyKind.SERVER else 1
    return {measure: limit * times for measure, limit in public.items()}


def window(measure: Measure, now: dt.datetime, zone: str) -> tuple[str, int]:
    """Return the name of the minute or day that is counted, and the seconds until it ends."""
    if measure is Measure.REQUESTS:
        return f"{now:%H%M}", 60 - now.second
    local = now.astimezone(ZoneInfo(zone))
    midnight = (local + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{local:%Y%m%d}", max(1, int((midnight - local).total_seconds()))
