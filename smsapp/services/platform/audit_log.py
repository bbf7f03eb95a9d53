"""The audit log: every service that changes something stores who did it, in the same transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smsapp.store.users import AuditEntry


@dataclass(frozen=True)
class Actor:
    """The actor of a change: a person (with id), or a command or job (without)."""

    name: str
    user_id: int | None = None
    address: str = ""
    """The network address the request came from; "" for commands and jobs."""


def log_action(
    session: Session, actor: Actor, action: str, noun: str, noun_id: object, now: dt.datetime, **facts: Any
) -> None:
    """Add one line to the audit log. `facts` never contain secrets or phone numbers."""
    session.add(
        AuditEntry(
            at=now,
            user_id=actor.user_id,
            by=actor.name,
            address=actor.address,
            action=action,
            noun=noun,
            noun_id=str(noun_id),
            facts=facts,
        )
    )
