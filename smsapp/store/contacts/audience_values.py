"""What the values of an audience look like before anybody is written to: missing, unfit, long, full of figures."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segment_rules import belongs
from smsapp.store.contacts.values import many_figures
from smsapp.store.db import dialect


def count_unusable_values(session: Session, audience: Audience) -> list[tuple[int, int]]:
    """Return (people without the value, with an unfit one) for each of the values, of people with a number."""
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    if not texts:
        return []
    number = Contact.phones[audience.phone_property].as_string()
    query = sa.select(*texts).where(belongs(audience.members), number.is_not(None), number != "")
    base = (query.offset(0) if dialect() == "sqlite" else query).subquery("base")
    columns = []
    for place, source in enumerate(audience.values):
        text = base.c[f"text_{place}"]
        columns += [_times(source.value(text).is_(None)), _times(source.unfit(text))]
    counts = [n or 0 for n in session.execute(sa.select(*columns)).one()]
    return list(zip(counts[::2], counts[1::2], strict=True))


def values_to_check(session: Session, audience: Audience, place: int, newest: int, most: int) -> dict[str, list[str]]:
    """Return values at index `place` for a person to check: the "longest", those with "figures", and "unfit" ones.

    They come from the `newest` members with the highest ids; at most `most` of each kind.
    """
    source = audience.values[place]
    query = sa.select(source.written.label("text")).where(belongs(audience.members))
    base = query.order_by(Contact.id.desc()).limit(newest).subquery("base")
    text = base.c.text
    unfit = source.unfit(text)
    length = sa.func.length(text)
    values_query = sa.select(text).where(text.is_not(None)).group_by(text).order_by(length.desc(), text).limit(most)
    fit = values_query.where(sa.not_(unfit))
    return {
        "longest": list(session.scalars(fit)),
        "figures": list(session.scalars(fit.where(many_figures(text)))),
        "unfit": list(session.scalars(values_query.where(unfit))),
    }


def count_values(session: Session, members: sa.Select[Any], start: int, most: int) -> tuple[int, dict[str, int]]:
    """Look at up to `most` members from contact id `start` on; return how many these are, and {property: how many of
    them have a value}."""
    ids = members.subquery()
    contact_id = next(iter(ids.c))
    first_ids = sa.select(contact_id).where(contact_id >= start).order_by(contact_id).limit(most)
    contacts = sa.select(Contact.properties).where(Contact.id.in_(first_ids)).subquery()
    checked = session.scalar(sa.select(sa.func.count()).select_from(contacts)) or 0
    if dialect() == "postgresql":
        each = sa.func.jsonb_each_text(contacts.c.properties).table_valued("key", "value")
    else:
        each = sa.func.json_each(sa.type_coerce(contacts.c.properties, sa.Text)).table_valued("key", "value")
    query = sa.select(each.c.key, sa.func.count()).select_from(contacts.join(each, sa.true()))
    rows = session.execute(query.where(each.c.value.not_in(("", "[]"))).group_by(each.c.key))
    return checked, {row[0]: row[1] for row in rows}


def _times(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0), type_=sa.Integer)
