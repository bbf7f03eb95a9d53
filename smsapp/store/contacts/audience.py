"""Who would be written to and who is left out, as one SELECT: counts, previews and the freeze all ask this.

The reasons are those of `domain/campaign.Left`, in that order; the first that holds counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.domain.trust import PUBLIC
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.numbers import is_abroad, is_special
from smsapp.store.contacts.replies import OptOut
from smsapp.store.contacts.values import Source, many_figures
from smsapp.store.db import dialect
from smsapp.store.runs.runs import Message, Run

NOT_WRITTEN_TO = (Status.CANCELLED, Status.REFUSED)
"""Message states that do not count against a number's frequency cap."""


@dataclass(frozen=True)
class Cap:
    """At most `most` marketing messages to one number since a moment, over all campaigns."""

    since: dt.datetime
    most: int


@dataclass(frozen=True)
class Audience:
    """Everything that decides who gets a message: `members` selects contact ids."""

    members: sa.Select[Any]
    phone_property: str
    trusted_numbers: bool = False
    """Numbers that public AppKeys have reported are not written to."""
    values: Sequence[Source] = ()
    """What fills the template's variables that differ from person to person, in the template's order."""
    caps: Sequence[Cap] = ()
    countries: Sequence[str] = ()
    """Region codes the channel may write to; none = every country."""
    number_classes: Sequence[str] = ()
    """Classes of numbers it may write to beside mobile ones."""


def people(audience: Audience) -> sa.Select[Any]:
    """Return a SELECT of (contact_id, phone, params, reason) over all members; reason NULL = is written to.

    All reasons but the last, DUPLICATE_NUMBER: whether a number is somebody else's too is not seen in one row. Of
    several people with one number and no other reason the one with the lowest id gets the message.
    """
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    number = Contact.phones[audience.phone_property].as_string().label("phone")
    public = _reported_in_public(audience).label("public")
    asked = sa.select(Contact.id.label("contact_id"), number, public, *texts).where(_belongs(audience.members))
    if dialect() == "sqlite":
        asked = asked.offset(0)  # or it would work out a text again wherever it is named
    base = asked.subquery("base")
    filled = [(source, base.c[f"text_{place}"]) for place, source in enumerate(audience.values)]
    values = [source.value(text) for source, text in filled]
    incomplete = sa.or_(sa.false(), *(value.is_(None) for value in values))
    unfit = sa.or_(sa.false(), *(source.unfit(text) for source, text in filled))
    reasons = [
        (base.c.phone.is_(None), ExclusionReason.NO_NUMBER),
        (base.c.phone == "", ExclusionReason.INVALID_NUMBER),
        *([(base.c.public, ExclusionReason.UNTRUSTED_NUMBER)] if audience.trusted_numbers else []),
        (is_special(base.c.phone, audience.number_classes), ExclusionReason.NUMBER_CLASS),
        *([(is_abroad(base.c.phone, audience.countries), ExclusionReason.COUNTRY)] if audience.countries else ()),
        (sa.exists().where(OptOut.phone == base.c.phone), ExclusionReason.OPTED_OUT),
        *((base.c.phone.in_(_capped(cap)), ExclusionReason.FREQUENCY_CAP) for cap in audience.caps),
        (incomplete, ExclusionReason.MISSING_VALUE),
        (unfit, ExclusionReason.UNFIT_VALUE),
    ]
    reason = sa.case(*((condition, sa.literal(str(left))) for condition, left in reasons), else_=None)
    return sa.select(base.c.contact_id, base.c.phone, _array(values).label("params"), reason.label("reason"))


def tallied(session: Session, audience: Audience) -> dict[ExclusionReason | None, int]:
    """Return how many people there are for each reason; None = to be written to."""
    found = people(audience).subquery("people")
    rows = session.execute(
        sa.select(found.c.reason, sa.func.count(), sa.func.count(found.c.phone.distinct())).group_by(found.c.reason)
    )
    result: dict[ExclusionReason | None, int] = {}
    for reason, everybody, numbers in rows:
        if reason is None:
            result[None] = numbers
            result[ExclusionReason.DUPLICATE_NUMBER] = everybody - numbers
        else:
            result[ExclusionReason(reason)] = everybody
    return {reason: n for reason, n in result.items() if n}


def _reported_in_public(audience: Audience) -> sa.ColumnElement[bool]:
    """Return the condition that a public AppKey has reported the number; false where nobody asks."""
    if not audience.trusted_numbers:
        return sa.false()
    source = sa.func.substr(Contact.sources[audience.phone_property].as_string(), 1, 1)
    return sa.func.coalesce(source.in_([origin.value[0] for origin in PUBLIC]), sa.false())


def lacking(session: Session, audience: Audience) -> list[tuple[int, int]]:
    """Return, for each of the audience's values, how many people with a usable number have none, and an unfit one."""
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    if not texts:
        return []
    number = Contact.phones[audience.phone_property].as_string()
    asked = sa.select(*texts).where(_belongs(audience.members), number.is_not(None), number != "")
    base = (asked.offset(0) if dialect() == "sqlite" else asked).subquery("base")
    columns = []
    for place, source in enumerate(audience.values):
        text = base.c[f"text_{place}"]
        columns += [_times(source.value(text).is_(None)), _times(source.unfit(text))]
    counts = [n or 0 for n in session.execute(sa.select(*columns)).one()]
    return list(zip(counts[::2], counts[1::2], strict=True))


def _times(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0), type_=sa.Integer)


def standouts(session: Session, audience: Audience, place: int, people: int, most: int) -> dict[str, list[str]]:
    """Return values at this place that a person should see before they go out: "longest", with "figures", and "unfit".

    They come from the newest `people` members; of each kind at most `most`.
    """
    source = audience.values[place]
    asked = sa.select(source.written.label("text")).where(_belongs(audience.members))
    base = asked.order_by(Contact.id.desc()).limit(people).subquery("base")
    text = base.c.text
    unfit = source.unfit(text)
    length = sa.func.length(text)
    chosen = sa.select(text).where(text.is_not(None)).group_by(text).order_by(length.desc(), text).limit(most)
    fit = chosen.where(sa.not_(unfit))
    return {
        "longest": list(session.scalars(fit)),
        "figures": list(session.scalars(fit.where(many_figures(text)))),
        "unfit": list(session.scalars(chosen.where(unfit))),
    }


def held(session: Session, members: sa.Select[Any], start: int, most: int) -> tuple[int, dict[str, int]]:
    """Return how many of the first `most` members from contact id `start` on there are, and how many of them have a
    value of each property."""
    ids = members.subquery()
    contact_id = next(iter(ids.c))
    some = sa.select(contact_id).where(contact_id >= start).order_by(contact_id).limit(most)
    chosen = sa.select(Contact.properties).where(Contact.id.in_(some)).subquery()
    looked = session.scalar(sa.select(sa.func.count()).select_from(chosen)) or 0
    if dialect() == "postgresql":
        each = sa.func.jsonb_each_text(chosen.c.properties).table_valued("key", "value")
    else:
        each = sa.func.json_each(sa.type_coerce(chosen.c.properties, sa.Text)).table_valued("key", "value")
    counted = sa.select(each.c.key, sa.func.count()).select_from(chosen.join(each, sa.true()))
    rows = session.execute(counted.where(each.c.value.not_in(("", "[]"))).group_by(each.c.key))
    return looked, {row[0]: row[1] for row in rows}


def _belongs(members: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a contact is a member; a rule over contacts is asked as it is, not by way of ids."""
    if members.get_final_froms() != [Contact.__table__]:
        return Contact.id.in_(members)
    return sa.true() if members.whereclause is None else members.whereclause


def _array(values: Sequence[sa.ColumnElement[str]]) -> sa.ColumnElement[Any]:
    if not values:
        return sa.null()
    if dialect() == "postgresql":
        return sa.cast(sa.func.json_build_array(*values), sa.Text)
    return sa.func.json_array(*values)


def _capped(cap: Cap) -> sa.Select[str]:
    return (
        sa.select(Message.phone)
        .join(Run, Run.id == Message.run_id)
        .where(Run.started_at >= cap.since, Run.marketing, Message.status.not_in([int(s) for s in NOT_WRITTEN_TO]))
        .group_by(Message.phone)
        .having(sa.func.count() >= cap.most)
    )
