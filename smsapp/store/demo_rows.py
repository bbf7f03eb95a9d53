"""What the demo made, known by its ids; and its removal, which leaves alone whatever something else uses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store import budgets
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.campaigns.audiences import names_segment
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import Base
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import DEMO, Preference, preference, save_preference


def mark(session: Session, then: dt.datetime, channel_id: int, segment_ids: Sequence[int], keys: Sequence[int]) -> None:
    """Store what the demo has made, with all campaigns: there was none before.

    {"then": when its contacts were made, "channel": id, "segments", "keys" and "campaigns": ids}
    """
    made = {
        "then": then.isoformat(),
        "channel": channel_id,
        "segments": list(segment_ids),
        "keys": list(keys),
        "campaigns": list(session.scalars(sa.select(Campaign.id).order_by(Campaign.id))),
    }
    save_preference(session, DEMO, made)


def made(session: Session) -> dict[str, Any]:
    """Return what `mark` stored; {} if there is no demo data."""
    return preference(session, DEMO) or {}


def is_sending(session: Session, demo: dict[str, Any]) -> bool:
    """Return whether a run of the demo's campaigns goes on."""
    query = sa.select(Run.id).where(Run.campaign_id.in_(demo["campaigns"]), Run.finished_at.is_(None)).limit(1)
    return session.scalar(query) is not None


def remove(session: Session, demo: dict[str, Any]) -> int:
    """Delete what the demo made; return how many of its entries stay because something else uses or has changed them.

    A campaign stays if it has sent, or would send, over another channel; a contact if it has changed since.
    """
    channel_id = demo["channel"]
    elsewhere = sa.select(Run.campaign_id).where(Run.campaign_id.in_(demo["campaigns"]), Run.channel_id != channel_id)
    own = sa.and_(
        Campaign.id.in_(demo["campaigns"]),
        Campaign.id.not_in(elsewhere),
        sa.func.coalesce(Campaign.channel_id, channel_id) == channel_id,
    )
    campaign_ids = list(session.scalars(sa.select(Campaign.id).where(own)))
    run_ids = list(session.scalars(sa.select(Run.id).where(Run.campaign_id.in_(campaign_ids))))
    budgets.take_out(session, campaign_ids)
    _delete_of(session, "run_id", run_ids)
    session.execute(sa.delete(Run).where(Run.id.in_(run_ids)))
    _delete_of(session, "campaign_id", campaign_ids)
    session.execute(sa.delete(Campaign).where(Campaign.id.in_(campaign_ids)))
    then = dt.datetime.fromisoformat(demo["then"])
    people = sa.and_(Contact.created_at == then, Contact.xwho.like("QH%"))
    session.execute(sa.delete(Contact).where(people, Contact.updated_at == then))
    unneeded = [id_ for id_ in demo["segments"] if not session.scalar(sa.select(sa.exists().where(names_segment(id_))))]
    session.execute(sa.delete(Segment).where(Segment.id.in_(unneeded), Segment.updated_at == then))
    _delete_channel(session, channel_id)
    unused = AppKey.id.in_(demo["keys"]), AppKey.last_used_at.is_(None)
    session.execute(sa.delete(AppKey).where(*unused))
    session.execute(sa.delete(Preference).where(Preference.name == DEMO))
    remaining = (
        (Campaign, Campaign.id.in_(demo["campaigns"])),
        (Contact, people),
        (Segment, Segment.id.in_(demo["segments"])),
        (ChannelRow, ChannelRow.id == channel_id),
        (AppKey, AppKey.id.in_(demo["keys"])),
    )
    return sum(
        session.scalar(sa.select(sa.func.count()).select_from(table).where(which)) or 0 for table, which in remaining
    )


def _delete_of(session: Session, column: str, ids: Sequence[int]) -> None:
    """Delete the rows of every table that name one of these runs or campaigns."""
    for table in reversed(Base.metadata.sorted_tables):
        if column in table.columns and table.name != "run":
            session.execute(sa.delete(table).where(table.columns[column].in_(ids)))


def _delete_channel(session: Session, channel_id: int) -> None:
    """Delete the demo's channel with its templates, unless a campaign or a run uses one of them."""
    templates = sa.select(SmsTemplate.id).where(SmsTemplate.channel_id == channel_id)
    uses = (
        sa.exists().where(Run.channel_id == channel_id),
        sa.exists().where(sa.or_(Campaign.channel_id == channel_id, Campaign.second_channel_id == channel_id)),
        sa.exists().where(sa.or_(Campaign.template_id.in_(templates), Campaign.second_template_id.in_(templates))),
    )
    if any(session.execute(sa.select(*uses)).one()):
        return
    for table in reversed(Base.metadata.sorted_tables):
        is_refusal = table.name == "opt_out"  # a refusal that somebody wrote down over this channel stays
        if "channel_id" in table.columns and table.name not in {"campaign", "run"} and not is_refusal:
            session.execute(sa.delete(table).where(table.columns["channel_id"] == channel_id))
    session.execute(sa.delete(ChannelRow).where(ChannelRow.id == channel_id))
