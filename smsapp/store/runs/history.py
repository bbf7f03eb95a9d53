"""Messages to one person, and exclusions with their reasons: in the newest runs only, found by indexes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.runs.runs import Exclusion, Message, Run

NEWEST_RUNS = 500
"""Most runs that are searched; older ones are in the reports of their campaigns."""


@dataclass(frozen=True)
class RunOfContact:
    """One run that targeted this person."""

    campaign_id: int
    campaign: str
    run_id: int
    slot: dt.datetime
    seq: int | None
    """The message's seq in its run; None if there is no message."""
    status: Status | None
    reason: str
    """Why the message failed, or why the person was excluded."""


def of_person(session: Session, contact_id: int, phones: Collection[str], most: int) -> list[RunOfContact]:
    """Return the newest runs with a message to one of these numbers, or with an exclusion of this contact."""
    newest = sa.select(Run.id).order_by(Run.id.desc()).limit(NEWEST_RUNS).scalar_subquery()
    sent = sa.select(
        Message.run_id, Message.seq.label("seq"), Message.status.label("status"), Message.reason.label("reason")
    ).where(Message.run_id.in_(newest), Message.phone.in_(phones))
    left_out = sa.select(Exclusion.run_id, sa.null(), sa.null(), Exclusion.reason).where(
        Exclusion.run_id.in_(newest), Exclusion.contact_id == contact_id
    )
    both = sa.union_all(sent, left_out).subquery()
    rows = session.execute(
        sa.select(Campaign.id, Campaign.name, both.c.run_id, Run.slot, both.c.seq, both.c.status, both.c.reason)
        .join(Run, Run.id == both.c.run_id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .order_by(both.c.run_id.desc(), both.c.seq)
        .limit(most)
    )
    return [
        RunOfContact(campaign_id, name, run_id, slot, seq, None if status is None else Status(status), reason)
        for campaign_id, name, run_id, slot, seq, status, reason in rows
    ]
