"""What an AppKey may bring: how much of what, in which time."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from smsapp.domain.trust import KeyKind

SERVER_TIMES = 10
"""A server key may bring so many times what a public key may."""


class Measure(enum.StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    """In a minute, whatever they bring."""
    RECORDS = "records"
    """Profile records in a day."""
    NEW_CONTACTS = "new_contacts"
    """Contacts in a day that nobody had reported before."""
    BYTES = "bytes"
    """Bytes of unfolded requests with profile records in a day."""


Limits = Mapping[Measure, int]


def limits(kind: KeyKind, public: Limits) -> Limits:
    """Return the limits of a key of this kind, from those of public keys."""
    times = SERVER_TIMES if kind is KeyKind.SERVER else 1
    return {measure: limit * times for measure, limit in public.items()}


def window(measure: Measure, now: dt.datetime, zone: str) -> tuple[str, int]:
    """Return the name of the minute or the day that is counted, and the seconds until it is over."""
    if measure is Measure.REQUESTS:
        return f"{now:%H%M}", 60 - now.second
    local = now.astimezone(ZoneInfo(zone))
    midnight = (local + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{local:%Y%m%d}", max(1, int((midnight - local).total_seconds()))
