"""Which entries of the audit log somebody asks for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are meant; None and "" do not restrict."""

    user_id: int | None = None
    action: str = ""
    noun: str = ""
    address: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    """The first moment that is not meant."""
