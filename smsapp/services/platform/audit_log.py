"""The audit log: every service that changes something stores who did it, in the same transaction."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain.phone import mask_inside
from smsapp.domain.provenance import Program
from smsapp.domain.roles import Role
from smsapp.store import api_requests, audit_chain
from smsapp.store.users import AuditEntry


@dataclass(frozen=True)
class Actor:
    """The actor of a change: a person (with id), or a command or job (without)."""

    name: str
    user_id: int | None = None
    address: str = ""
    """The network address the request came from; "" for commands and jobs."""
    role: Role | None = None
    """The person's role as of this request; without it a person may do nothing (services/platform/access.py)."""
    request: tuple[int, str] | None = None
    """The row of the HTTP API's request that this is (store/api_requests.py), if it may be sent again."""
    program: Program | None = None
    """The program that acts with a key of the HTTP API; None for persons, commands and jobs."""

    @property
    def is_system(self) -> bool:
        """Whether this is a command or a job, which acts for those who run the application."""
        return self.user_id is None and self.role is None


def log_action(
    session: Session, actor: Actor, action: str, noun: str, noun_id: object, now: dt.datetime, **facts: Any
) -> None:
    """Add one line to the audit log as the transaction commits.

    `facts` never contain secrets; phone numbers in names and remarks are masked. A request of the API that may be sent
    again is marked as done in the same transaction.
    """
    if actor.request is not None:
        api_requests.mark_changed(session, actor.request, noun_id if isinstance(noun_id, int) else None)
    audit_chain.append(
        session,
        AuditEntry(
            at=now,
            user_id=actor.user_id,
            by=actor.name,
            address=actor.address,
            action=action,
            noun=noun,
            noun_id=str(noun_id) if isinstance(noun_id, int) else mask_inside(str(noun_id)),
            facts=_masked(facts),
        ),
    )


def _masked(fact: Any) -> Any:
    """Return a fact with the numbers in its texts masked: an entry cannot be changed when a person is erased."""
    if isinstance(fact, str):
        return fact if _is_address(fact) else mask_inside(fact)
    if isinstance(fact, Mapping):
        return {name: _masked(value) for name, value in fact.items()}
    return [_masked(value) for value in fact] if isinstance(fact, list | tuple) else fact


def _is_address(text: str) -> bool:
    """Return whether this is a network address, whose figures would pass for a number's."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
