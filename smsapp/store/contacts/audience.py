"""Who gets a message and who is excluded, as one SELECT that counts, previews and the freeze all use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.trust import PUBLIC
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.exclusion import NOT_WRITTEN_TO, Cap, params_and_reason
from smsapp.store.contacts.segment_rules import belongs, is_plain
from smsapp.store.contacts.values import Source
from smsapp.store.db import dialect, one_of
from smsapp.store.privacy.erased_numbers import hashed
from smsapp.store.runs.runs import Message, Run


@dataclass(frozen=True)
class DayLimit:
    """At most `left` more messages today to numbers that begin with `prefix`; None = no limit."""

    prefix: str
    left: int | None


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
    limits: Sequence[DayLimit] = ()
    """Limits of the channel by prefix, the longest first; the first that fits a number counts."""
    marketing: bool = False
    """The text is marketing, which some have refused."""
    signature: str = ""
    """Of the text, without brackets; some have refused the texts of one signature."""
    left_out_carriers: Sequence[str] = ()
    """Exclude numbers of these carriers."""
    consented_only: bool = False
    """Exclude those who have not agreed to such texts."""
    excluded: Sequence[sa.Select[Any]] = ()
    """Each selects the ids, without doubles, of contacts that are excluded if they are members."""
    left_out: Mapping[ExclusionReason, sa.Select[Any]] = field(default_factory=dict)
    """Reason -> a SELECT of the numbers, each once and named `phone`, that the campaign leaves out by choice."""
    erased_key: bytes | None = field(default=None, repr=False)
    """The key by which numbers are compared with erased ones; None while nobody was erased."""

    @property
    def is_lenient(self) -> bool:
        """Whether nobody is excluded by what a preview does not look at."""
        return not any(getattr(self, name) for name in LENIENT)

    @cached_property
    def people(self) -> sa.Subquery:
        """Everybody, as `select_members` selects them; to build it takes longer than to ask it about a few people."""
        return select_members(self).subquery("people")


LENIENT: Mapping[str, Any] = {"caps": (), "limits": (), "left_out": {}}
"""What of an audience a preview does not look at."""


class Recipient(NamedTuple):
    """Somebody who gets a message, with the variables' values as JSON."""

    contact_id: int
    xwho: str
    phone: str
    params: str | None


class Member(NamedTuple):
    """Somebody of an audience, with what becomes of them: without a reason they get a message."""

    contact_id: int
    xwho: str
    phone: str | None
    params: str | None
    reason: str | None
    properties: Mapping[str, Any]


def select_members(audience: Audience) -> sa.Select[Any]:
    """Return a SELECT of (contact_id, phone, params, reason) over all members; reason NULL = gets a message.

    It has all reasons but DUPLICATE_NUMBER, which one row cannot show: of several people with one number and no other
    reason the one with the lowest id gets the message.
    """
    texts = [source.written.label(f"text_{place}") for place, source in enumerate(audience.values)]
    number = Contact.phones[audience.phone_property].as_string().label("phone")
    public = _reported_in_public(audience).label("public")
    # Numbers are hashed only if somebody was erased, whose opt-out and caps hold for a number that comes back.
    hashes = [] if audience.erased_key is None else [hashed(number.element, audience.erased_key).label("own_hash")]
    source, is_excluded = _with_excluded(audience.excluded)
    columns = (Contact.id.label("contact_id"), number, public, is_excluded.label("is_excluded"), *hashes, *texts)
    query = sa.select(*columns).select_from(source).where(belongs(audience.members))
    if dialect() == "sqlite":
        query = query.offset(0)  # otherwise SQLite computes a text again wherever it is named
    base = query.subquery("base")
    joined: sa.FromClause = base
    for reason, numbers in audience.left_out.items():
        # A join: PostgreSQL would look through so many numbers one by one in a condition that is no WHERE.
        left = numbers.subquery(f"left_out_{reason}")
        joined = joined.outerjoin(left, left.c.phone == base.c.phone)
    params, why = params_and_reason(
        dialect(),
        tuple(audience.values),
        audience.trusted_numbers,
        tuple(audience.number_classes),
        tuple(audience.countries),
        audience.marketing,
        audience.signature,
        audience.consented_only,
        tuple(audience.caps),
        tuple(audience.left_out_carriers),
        tuple(audience.left_out),
        bool(audience.excluded),
        bool(hashes),
    )
    people = sa.select(base.c.contact_id, base.c.phone, params, why).select_from(joined)
    return _limited(people, audience.limits) if audience.limits else people


def _with_excluded(excluded: Sequence[sa.Select[Any]]) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
    """Return the contacts, and the condition that one of these selects has a contact.

    A select that is no plain rule is joined: as `IN` within a condition PostgreSQL could search it for each contact.
    """
    source: sa.FromClause = Contact.__table__
    conditions: list[sa.ColumnElement[bool]] = []
    for number, members in enumerate(excluded):
        if is_plain(members):
            conditions.append(belongs(members).is_(sa.true()))
            continue
        ids = members.subquery(f"excluded_{number}")
        contact_id = next(iter(ids.c))
        source = source.outerjoin(ids, contact_id == Contact.id)
        conditions.append(contact_id.is_not(None))
    return source, sa.or_(sa.false(), *conditions)


def _limited(people: sa.Select[Any], limits: Sequence[DayLimit]) -> sa.Select[Any]:
    """Return `people` without those for whom a limit has no room: the lowest numbers have it.

    People with one number share a rank, so that all of them or none has room.
    """
    each = people.subquery("unlimited")
    limit = number_limit(each.c.phone, [limit.prefix for limit in limits])
    rank = sa.func.dense_rank().over(partition_by=(each.c.reason.is_(None), limit), order_by=each.c.phone)
    ranked = sa.select(each, limit.label("limit_no"), rank.label("rank_in_limit")).subquery("ranked")
    full = [
        sa.and_(ranked.c.limit_no == number, ranked.c.rank_in_limit > limit.left)
        for number, limit in enumerate(limits)
        if limit.left is not None
    ]
    has_no_room = sa.and_(ranked.c.reason.is_(None), sa.or_(sa.false(), *full))
    reason = sa.case((has_no_room, sa.literal(str(ExclusionReason.NUMBER_LIMIT))), else_=ranked.c.reason)
    return sa.select(ranked.c.contact_id, ranked.c.phone, ranked.c.params, reason.label("reason"))


def number_limit(phone: sa.ColumnElement[Any], prefixes: Sequence[str]) -> sa.ColumnElement[int]:
    """Return the place of the first of these prefixes with which a number begins; -1 if there is none."""
    places = [(phone.startswith(prefix, autoescape=True), sa.literal(place)) for place, prefix in enumerate(prefixes)]
    return sa.case(*places, else_=sa.literal(-1))


def messages_today(session: Session, channel_id: int, since: dt.datetime, prefixes: Sequence[str]) -> dict[int, int]:
    """Return {place of the prefix: messages} of the runs of a channel that were frozen since then.

    Refused, cancelled and expired messages do not count.
    """
    place = number_limit(Message.__table__.c.phone, prefixes).label("place")
    query = sa.select(place, sa.func.count()).join(Run, Run.id == Message.run_id)
    mine = (Run.channel_id == channel_id, Run.started_at >= since)
    count_not = Message.status.not_in([int(status) for status in NOT_WRITTEN_TO])
    rows = session.execute(query.where(*mine, count_not).group_by(sa.text("place")))
    return {number: n for number, n in rows}  # noqa: C416 a Row is no pair to mypy


def count_by_reason(session: Session, audience: Audience) -> dict[ExclusionReason | None, int]:
    """Return {reason: number of people}; the key None counts those who get a message."""
    everyone = audience.people
    rows = session.execute(
        sa.select(everyone.c.reason, sa.func.count(), sa.func.count(everyone.c.phone.distinct())).group_by(
            everyone.c.reason
        )
    )
    return _by_reason(tuple(row) for row in rows)


def members_by_reason(members: Sequence[Member]) -> dict[ExclusionReason | None, int]:
    """Return what `count_by_reason` returns, of everybody of an audience."""
    phones_by_reason: dict[str | None, list[str | None]] = {}
    for member in members:
        phones_by_reason.setdefault(member.reason, []).append(member.phone)
    return _by_reason((reason, len(phones), len({*phones})) for reason, phones in phones_by_reason.items())


def _by_reason(groups: Iterable[tuple[str | None, int, int]]) -> dict[ExclusionReason | None, int]:
    """Return {reason: number of people} of (reason, people, different numbers)."""
    result: dict[ExclusionReason | None, int] = {}
    for reason, everybody, numbers in groups:
        if reason is None:
            result[None] = numbers
            result[ExclusionReason.DUPLICATE_NUMBER] = everybody - numbers
        else:
            result[ExclusionReason(reason)] = everybody
    return {reason: n for reason, n in result.items() if n}


def excluded_people(
    session: Session, audience: Audience, reason: ExclusionReason, after: int, limit: int
) -> list[tuple[int, str, str]]:
    """Return (contact id, user id, phone or "") of those excluded for this reason, by id, after `after`."""
    everyone = audience.people
    if reason is ExclusionReason.DUPLICATE_NUMBER:
        rank = sa.func.row_number().over(partition_by=everyone.c.phone, order_by=everyone.c.contact_id)
        people = sa.select(everyone, rank.label("nth")).where(everyone.c.reason.is_(None)).subquery("ranked")
        is_excluded = people.c.nth > 1
    else:
        people, is_excluded = everyone, everyone.c.reason == str(reason)
    rows = session.execute(
        sa.select(people.c.contact_id, Contact.xwho, people.c.phone)
        .join(Contact, Contact.id == people.c.contact_id)
        .where(is_excluded, people.c.contact_id > after)
        .order_by(people.c.contact_id)
        .limit(limit)
    )
    return [(contact_id, xwho, phone or "") for contact_id, xwho, phone in rows]


def count_members(session: Session, audience: Audience, most: int | None = None) -> int:
    """Return how many people an audience has; of more than `most` just `most`."""
    members = audience.members.subquery("members")
    some = sa.select(next(iter(members.c))).limit(most).subquery("some") if most is not None else members
    return session.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def _reported_in_public(audience: Audience) -> sa.ColumnElement[bool]:
    """Return the condition that a public AppKey has reported the number; false unless `trusted_numbers` is set."""
    if not audience.trusted_numbers:
        return sa.false()
    source = sa.func.substr(Contact.sources[audience.phone_property].as_string(), 1, 1)
    return sa.func.coalesce(source.in_([origin.value[0] for origin in PUBLIC]), sa.false())


def member_ids(session: Session, audience: Audience, start: int, n: int, *, backwards: bool = False) -> Sequence[int]:
    """Return the next `n` member ids after contact id `start`, or before it, the nearest first."""
    ids = audience.members.subquery()
    contact_id = next(iter(ids.c))
    beyond = contact_id < start if backwards else contact_id > start
    order = contact_id.desc() if backwards else contact_id.asc()
    return session.scalars(sa.select(contact_id).where(beyond).order_by(order).limit(n)).all()


def reachable(
    session: Session, audience: Audience, contact_ids: Sequence[int], *, backwards: bool = False
) -> list[Recipient]:
    """Return those of these members who get a message, in the order of ids.

    A number that a person outside `contact_ids` has as well counts as reachable here, and neither caps nor those left
    out by choice are looked at: a preview may ignore that.
    """
    members = sa.select(Contact.id).where(one_of(Contact.id, contact_ids))
    part = replace(audience, members=members, **LENIENT)
    return _recipients(session, part.people, backwards=backwards)


def members_in(session: Session, audience: Audience, contact_ids: Sequence[int]) -> list[Member]:
    """Return everybody of an audience whose members these are, in the order of ids."""
    chosen = sa.select(Contact.id).where(one_of(Contact.id, contact_ids))
    people = replace(audience, members=chosen).people
    columns = (people.c.contact_id, Contact.xwho, people.c.phone, people.c.params, people.c.reason, Contact.properties)
    rows = session.execute(
        sa.select(*columns).join(Contact, Contact.id == people.c.contact_id).order_by(people.c.contact_id)
    )
    return [Member(*row) for row in rows]


def _recipients(session: Session, people: sa.Subquery, *, backwards: bool = False) -> list[Recipient]:
    rows = session.execute(
        sa.select(people.c.contact_id, Contact.xwho, people.c.phone, people.c.params)
        .join(Contact, Contact.id == people.c.contact_id)
        .where(people.c.reason.is_(None))
        .order_by(people.c.contact_id.desc() if backwards else people.c.contact_id.asc())
    )
    return [Recipient(*row) for row in rows]
