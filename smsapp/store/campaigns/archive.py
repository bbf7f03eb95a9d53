"""The archive: what may not go into it yet, what has been sent and so may not be deleted, and the way back."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.campaign import Status
from smsapp.domain.tags import Item
from smsapp.store.campaigns.audiences import names_segment
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import Condition
from smsapp.store.runs.runs import Run

MOST = 20
"""Campaigns that are named in a refusal."""


def never_ran() -> Condition:
    """Return the condition that a campaign has no run, and so no report."""
    return sa.not_(sa.exists().where(Run.campaign_id == Campaign.id))


def restore(session: Session, campaign_id: int) -> str | None:
    """Bring an archived campaign back into the list; return its name, None if it is not archived."""
    statement = (
        sa.update(Campaign)
        .where(Campaign.id == campaign_id, Campaign.archived_at.is_not(None), Campaign.deleted_at.is_(None))
        .values(archived_at=None)
        .returning(Campaign.name)
    )
    name: str | None = session.scalar(statement)
    return name


def _uses(item: Item, item_id: int) -> Condition:
    """Return the condition that a campaign uses this segment or template."""
    if item is Item.SEGMENT:
        return names_segment(item_id)
    return sa.or_(Campaign.template_id == item_id, Campaign.second_template_id == item_id)


def needing(session: Session, item: Item, item_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the oldest campaigns that wait or are being sent and use this segment or template."""
    is_to_send = Campaign.status.in_([Status.WAITING, Status.SENDING]), Campaign.deleted_at.is_(None)
    query = sa.select(Campaign.id, Campaign.name).where(*is_to_send, _uses(item, item_id))
    rows = session.execute(query.order_by(Campaign.id).limit(MOST))
    return [(campaign_id, name) for campaign_id, name in rows]


def confirming(session: Session, template_id: int) -> str | None:
    """Return the name of a channel that confirms opt-outs with this template."""
    query = sa.select(ChannelRow.name).where(ChannelRow.opt_out_template_id == template_id)
    return session.scalar(query.order_by(ChannelRow.id).limit(1))


def was_sent(session: Session, item: Item, item_id: int) -> bool:
    """Return whether a campaign with a run, a deleted one too, uses this segment or template."""
    query = sa.select(Campaign.id).where(_uses(item, item_id), sa.not_(never_ran())).limit(1)
    return session.scalar(query) is not None
