"""Who gets a message and who is excluded, as one SELECT that counts, previews and the freeze all use.

The reasons are those of `domain/campaign.py` ExclusionReason, in its order; the first that holds counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """Exclude numbers that public AppKeys have reported."""
    values: Sequence[Source] = ()
    """Sources of the template's variables that differ from person to person, in the template's order."""
    caps: Sequence[Cap] = ()
    countries: Sequence[str] = ()
    """Region codes the channel may send to; empty = every country."""
    number_classes: Sequence[str] = ()
    """Classes of numbers the channel may send to, besides mobile ones."""


def select_members(audience: Audience) -> sa.Select[Any]:
    """Return a SELECT of (contact_id, phone, params, reason) over all members; reason NULL = gets a message.

    It has all reasons but DUPLICATE_NUMBER, which one row cannot show: of several people with one number and no other
    reason the one with the lowest id gets the message.
    """
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    number = Contact.phones[audience.phone_property].as_string().label("phone")
    public = _reported_in_public(audience).label("public")
    query = sa.select(Contact.id.label("contact_id"), number, public, *texts).where(_belongs(audience.members))
    if dialect() == "sqlite":
        query = query.offset(0)  # otherwise SQLite computes a text again wherever it is named
    base = query.subquery("base")
    filled = [(source, base.c[f"text_{place}"]) for place, source in enumerate(audience.values)]
    values = [source.value(text) for source, text in filled]
    incomplete = sa.or_(sa.false(), *(value.is_(None) for value in values))
    unfit = sa.or_(sa.false(), *(source.unfit(text) for source, text in filled))
    phone = base.c.phone
    conditions: dict[ExclusionReason, list[sa.ColumnElement[bool]]] = {
        ExclusionReason.NO_NUMBER: [phone.is_(None)],
        ExclusionReason.INVALID_NUMBER: [phone == ""],
        ExclusionReason.UNTRUSTED_NUMBER: [base.c.public] if audience.trusted_numbers else [],
        ExclusionReason.NUMBER_CLASS: [is_special(phone, audience.number_classes)],
        ExclusionReason.COUNTRY: [is_abroad(phone, audience.countries)] if audience.countries else [],
        ExclusionReason.OPTED_OUT: [sa.exists().where(OptOut.phone == phone)],
        ExclusionReason.FREQUENCY_CAP: [phone.in_(_capped(cap)) for cap in audience.caps],
        ExclusionReason.MISSING_VALUE: [incomplete],
        ExclusionReason.UNFIT_VALUE: [unfit],
    }
    in_order = [(condition, reason) for reason in ExclusionReason for condition in conditions.get(reason, [])]
    reason = sa.case(*((condition, sa.literal(str(reason))) for condition, reason in in_order), else_=None)
    return sa.select(base.c.contact_id, base.c.phone, _array(values).label("params"), reason.label("reason"))


def count_by_reason(session: Session, audience: Audience) -> dict[ExclusionReason | None, int]:
    """Return {reason: number of people}; the key None counts those who get a message."""
    everyone = select_members(audience).subquery("people")
    rows = session.execute(
        sa.select(everyone.c.reason, sa.func.count(), sa.func.count(everyone.c.phone.distinct())).group_by(
            everyone.c.reason
        )
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
    """Return the condition that a public AppKey has reported the number; false unless `trusted_numbers` is set."""
    if not audience.trusted_numbers:
        return sa.false()
    source = sa.func.substr(Contact.sources[audience.phone_property].as_string(), 1, 1)
    return sa.func.coalesce(source.in_([origin.value[0] for origin in PUBLIC]), sa.false())


def count_unusable_values(session: Session, audience: Audience) -> list[tuple[int, int]]:
    """Return (people without the value, with an unfit one) for each of the values, of people with a number."""
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    if not texts:
        return []
    number = Contact.phones[audience.phone_property].as_string()
    query = sa.select(*texts).where(_belongs(audience.members), number.is_not(None), number != "")
    base = (query.offset(0) if dialect() == "sqlite" else query).subquery("base")
    columns = []
    for place, source in enumerate(audience.values):
        text = base.c[f"text_{place}"]
        columns += [_times(source.value(text).is_(None)), _times(source.unfit(text))]
    counts = [n or 0 for n in session.execute(sa.select(*columns)).one()]
    return list(zip(counts[::2], counts[1::2], strict=True))


def _times(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0), type_=sa.Integer)


def values_to_check(session: Session, audience: Audience, place: int, newest: int, most: int) -> dict[str, list[str]]:
    """Return values at index `place` for a person to check: the "longest", those with "figures", and "unfit" ones.

    They come from the `newest` members with the highest ids; at most `most` of each kind.
    """
    source = audience.values[place]
    query = sa.select(source.written.label("text")).where(_belongs(audience.members))
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


def _belongs(members: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a contact is a member; the rule of a select over contacts is used without its ids."""
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


def member_ids(session: Session, audience: Audience, start: int, n: int, *, backwards: bool = False) -> Sequence[int]:
    """Return the next `n` member ids after contact id `start`, or before it, the nearest first."""
    ids = audience.members.subquery()
    contact_id = next(iter(ids.c))
    beyond = contact_id < start if backwards else contact_id > start
    order = contact_id.desc() if backwards else contact_id.asc()
    return session.scalars(sa.select(contact_id).where(beyond).order_by(order).limit(n)).all()


def reachable(
    session: Session, audience: Audience, contact_ids: Sequence[int], *, backwards: bool = False
) -> list[tuple[int, str, str, str | None]]:
    """Return (contact id, user id, phone, params) of those of these members who get a message, in the order of ids.

    A number that a person outside `contact_ids` has as well counts as reachable here, and caps are not applied: a
    preview may ignore that.
    """
    part = replace(audience, members=sa.select(Contact.id).where(Contact.id.in_(contact_ids)), caps=())
    recipients = select_members(part).subquery()
    order = recipients.c.contact_id.desc() if backwards else recipients.c.contact_id.asc()
    rows = session.execute(
        sa.select(recipients.c.contact_id, Contact.xwho, recipients.c.phone, recipients.c.params)
        .join(Contact, Contact.id == recipients.c.contact_id)
        .where(recipients.c.reason.is_(None))
        .order_by(order)
    )
    return [(contact_id, xwho, phone, params) for contact_id, xwho, phone, params in rows]
