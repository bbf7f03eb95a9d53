"""Which people of an audience were sent the same text lately: set-based, over the newest runs with that text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import audience as audiences
from smsapp.store.contacts.exclusion import NOT_WRITTEN_TO
from smsapp.store.db import Json
from smsapp.store.runs.runs import Message, Run

NEWEST_RUNS = 500
"""Most runs that are searched, the newest ones, so that the cost does not grow with the years."""
DID_NOT_GET_IT = (*NOT_WRITTEN_TO, Status.UNDELIVERED)


def runs_with_text(
    session: Session, text: str, signature: str, since: dt.datetime, but: int | None, most: int
) -> Sequence[int]:
    """Return ids of up to `most` runs since then with this text and signature, except those of campaign `but`."""
    newest = sa.select(Run.id).order_by(Run.id.desc()).limit(NEWEST_RUNS)
    snapshot = sa.type_coerce(Run.snapshot, Json)
    same = (snapshot["text"].as_string() == text, snapshot["signature"].as_string() == signature)
    query = sa.select(Run.id).where(Run.id.in_(newest.scalar_subquery()), Run.started_at >= since, *same)
    if but is not None:
        query = query.where(Run.campaign_id != but)
    return session.scalars(query.order_by(Run.id.desc()).limit(most)).all()


def count_written_to(
    session: Session, audience: audiences.Audience, run_ids: Sequence[int], every: int
) -> tuple[int, list[Campaign]]:
    """Return how many numbers of an audience got a message in these runs, or still may, and the campaigns.

    Only every `every`-th contact, by id, is counted, so the result is a sample.
    """
    people = audience.people
    conditions = [people.c.reason.is_(None)] + ([people.c.contact_id % every == 0] if every > 1 else [])
    got = sa.and_(
        Message.run_id.in_(run_ids),
        Message.phone == people.c.phone,
        Message.status.not_in([int(status) for status in DID_NOT_GET_IT]),
    )
    pairs = (
        sa.select(Message.run_id, people.c.phone).select_from(people).join(Message, got).where(*conditions).cte("pairs")
    )
    n = session.scalar(sa.select(sa.func.count(pairs.c.phone.distinct()))) or 0
    if not n:
        return 0, []
    campaigns = sa.select(Run.campaign_id).where(Run.id.in_(sa.select(pairs.c.run_id)))
    return n, list(session.scalars(sa.select(Campaign).where(Campaign.id.in_(campaigns)).order_by(Campaign.id.desc())))
