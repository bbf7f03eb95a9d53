"""What a reply most likely answers: providers do not name it."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.store.runs.runs import Message, Run

SENT_STATES = [*sorted(ACCEPTED_STATES), Status.UNCONFIRMED]
"""States in which the person may have got the message and may reply."""
AT_ONCE = 500
"""Runs looked at in one query."""


class LikelyText(NamedTuple):
    """What a reply most likely answers: a campaign's text with this signature."""

    campaign_id: int | None = None
    signature: str = ""


def likely_text(session: Session, channel_id: int, phone: str, since: dt.datetime) -> LikelyText:
    """Return what the latest run since then has sent to this number through this channel; nothing if none has.

    Looks up the number in the unique (run, phone) index, newest runs first; never scans the ledger.
    """
    runs = session.execute(
        sa.select(Run.id, Run.campaign_id)
        .where(Run.channel_id == channel_id, Run.opened_at >= since)
        .order_by(Run.id.desc())
    )
    for chunk in runs.partitions(AT_ONCE):
        campaign_of: dict[int, int] = {run.id: run.campaign_id for run in chunk}
        run_id = session.scalar(
            sa.select(sa.func.max(Message.run_id)).where(
                Message.run_id.in_(campaign_of), Message.phone == phone, Message.status.in_(SENT_STATES)
            )
        )
        if run_id is not None:
            snapshot = session.scalar(sa.select(Run.snapshot).where(Run.id == run_id))
            return LikelyText(campaign_of[run_id], snapshot.signature if snapshot else "")
    return LikelyText()
