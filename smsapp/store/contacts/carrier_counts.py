"""How many numbers of each carrier an audience or a run has."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.message import Status
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.carriers import carrier_of
from smsapp.store.runs.runs import Message


def count_planned(session: Session, audience: Audience) -> dict[Carrier, int]:
    """Return {carrier: numbers that get a message}; numbers that are not of the mainland are left out."""
    people = audience.people
    numbers = sa.select(people.c.phone).where(people.c.reason.is_(None)).distinct().subquery("numbers")
    return _counted(session, numbers.c.phone)


def count_queued(session: Session, run_id: int) -> dict[Carrier, int]:
    """Return {carrier: messages of a run that are still to be sent}."""
    waiting = (Message.run_id == run_id, Message.status == int(Status.QUEUED))
    return _counted(session, sa.select(Message.phone).where(*waiting).subquery("numbers").c.phone)


def _counted(session: Session, phone: sa.ColumnElement[Any]) -> dict[Carrier, int]:
    carrier = carrier_of(phone).label("carrier")
    rows = session.execute(sa.select(carrier, sa.func.count()).group_by(sa.text("carrier")))
    return {Carrier(code): n for code, n in rows if code is not None}
