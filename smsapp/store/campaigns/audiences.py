"""Which campaigns name a segment, whether to write to its members or to leave them out."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import dialect

SIDES = ("include", "exclude")


def names_segment(segment_id: int) -> sa.ColumnElement[bool]:
    """Return the condition that a campaign's audience names this segment."""
    older = sa.and_(Campaign.audience.is_(None), Campaign.segment_id == segment_id)
    if dialect() == "postgresql":
        sides = [sa.type_coerce(Campaign.audience, JSONB())[side] for side in SIDES]
        return sa.or_(older, *(side.op("@>", is_comparison=True)(sa.literal(segment_id, JSONB())) for side in sides))
    named = [
        sa.exists(sa.select(each.c.value).where(each.c.value == segment_id).correlate(Campaign.__table__))
        for each in map(_each, SIDES)
    ]
    return sa.or_(older, *named)


def naming() -> sa.Select[Any]:
    """Return a SELECT of (segment_id, campaign_id), a row for each segment that a campaign names."""
    sides = []
    for side in SIDES:
        each = _each(side)
        value = sa.cast(each.c.value, sa.Integer).label("segment_id")
        joined = sa.join(Campaign, each, sa.true())
        sides.append(sa.select(value, Campaign.id.label("campaign_id")).select_from(joined).where(_alive()))
    older = sa.select(Campaign.segment_id, Campaign.id).where(Campaign.audience.is_(None), _alive())
    return sa.select(sa.union(*sides, older).subquery("naming"))


def _alive() -> sa.ColumnElement[bool]:
    return Campaign.deleted_at.is_(None)


def _each(side: str) -> Any:
    """Return the ids on one side of a campaign's audience, as a table with the column `value`."""
    if dialect() == "postgresql":
        ids = sa.type_coerce(Campaign.audience, JSONB())[side]
        return sa.func.jsonb_array_elements_text(ids).table_valued("value", name=f"each_{side}")
    column = sa.type_coerce(Campaign.audience, sa.Text)
    return sa.func.json_each(column, f"$.{side}").table_valued("value", name=f"each_{side}")
