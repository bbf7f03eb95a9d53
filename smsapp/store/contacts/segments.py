"""Segments and, for static and uploaded ones, their members; the rule tree as SQL on both databases."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import phone, segment_reader
from smsapp.domain import segment as rules
from smsapp.domain.contact import Type
from smsapp.domain.segment import Condition, Group, Kind, Match, Operator
from smsapp.store.campaigns.campaigns import NOT_OVER, Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import Base, BigId, changed, current_session, dialect, holds
from smsapp.store.settings import settings
from smsapp.store.users import User

Truth = sa.ColumnElement[bool]


class Segment(Base):
    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """dynamic, static, uploaded"""
    rule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    computed_at: Mapped[dt.datetime | None]
    size: Mapped[int | None]
    """Members when last computed; None = never."""


class SegmentMember(Base):
    __tablename__ = "segment_member"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_id: Mapped[int] = mapped_column(sa.ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True)


def members(segment: Segment, now: dt.datetime) -> sa.Select[int]:
    """Return the select of the segment's contact ids: by the rule as of `now` if dynamic, else the stored members.

    Raises Refusal if the stored rule cannot be read.
    """
    if segment.kind == Kind.DYNAMIC:
        return matching(segment_reader.from_json(segment.rule), now)
    return sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)


def matching(rule: Group, now: dt.datetime) -> sa.Select[int]:
    """Return the select of the ids of contacts that match this rule as of `now` (aware)."""
    local = now.astimezone(ZoneInfo(settings().DEFAULT_ZONE)).replace(tzinfo=None)
    dialects: dict[str, Values] = {"sqlite": SqliteValues(), "postgresql": PostgresValues()}
    query = sa.select(Contact.id)
    return query.where(_group(rule, dialects[dialect()], local)) if rule.children else query


def counting(query: sa.Select[int]) -> sa.Select[int]:
    """Return the select that counts these ids, without a subquery."""
    return query.with_only_columns(sa.func.count(), maintain_column_froms=True)


def fill(session: Session, segment_id: int, query: sa.Select[int]) -> int:
    """Replace the members of a static segment by these contacts; return how many there are."""
    empty(session, segment_id)
    rows = query.add_columns(sa.literal(segment_id, sa.Integer()))
    return changed(session, sa.insert(SegmentMember).from_select(["contact_id", "segment_id"], rows))


def empty(session: Session, segment_id: int) -> None:
    session.execute(sa.delete(SegmentMember).where(SegmentMember.segment_id == segment_id))


def copy_members(session: Session, source_id: int, target_id: int) -> None:
    rows = sa.select(SegmentMember.contact_id, sa.literal(target_id, sa.Integer()))
    rows = rows.where(SegmentMember.segment_id == source_id)
    session.execute(sa.insert(SegmentMember).from_select(["contact_id", "segment_id"], rows))


def remove(session: Session, segment_id: int) -> None:
    """Delete a segment with its members; campaigns that were sent to it keep their ledger and lose the link."""
    session.execute(sa.delete(Segment).where(Segment.id == segment_id))


def needed_by(session: Session, segment_id: int) -> list[str]:
    """Return the names of campaigns that will still read the segment's members."""
    query = sa.select(Campaign.name).where(*NOT_OVER, Campaign.segment_id == segment_id).order_by(Campaign.id)
    return list(session.scalars(query))


@dataclass(frozen=True)
class ListedSegment:
    """One line of the list of segments."""

    segment: Segment
    creator: str
    campaigns: int
    """How many campaigns were or will be sent to it."""


def listed(search: str) -> list[ListedSegment]:
    """Return the segments whose names contain `search`, newest first."""
    used = (
        sa.select(Campaign.segment_id, sa.func.count().label("n"))
        .where(Campaign.deleted_at.is_(None))
        .group_by(Campaign.segment_id)
        .subquery()
    )
    query = (
        sa.select(Segment, sa.func.coalesce(User.name, ""), sa.func.coalesce(used.c.n, 0))
        .outerjoin(User, User.id == Segment.created_by)
        .outerjoin(used, used.c.segment_id == Segment.id)
        .order_by(Segment.id.desc())
    )
    if search.strip():
        query = query.where(Segment.name.icontains(search.strip(), autoescape=True))
    return [
        ListedSegment(segment, creator, campaigns) for segment, creator, campaigns in current_session().execute(query)
    ]


@dataclass(frozen=True)
class Use:
    """A campaign that was or will be sent to a segment."""

    campaign_id: int
    name: str
    status: str


def uses(segment_id: int, limit: int = 20) -> list[Use]:
    """Return the newest campaigns of a segment."""
    query = (
        sa.select(Campaign.id, Campaign.name, Campaign.status)
        .where(Campaign.segment_id == segment_id, Campaign.deleted_at.is_(None))
        .order_by(Campaign.id.desc())
        .limit(limit)
    )
    return [Use(*row) for row in current_session().execute(query)]


def frequent_values(name: str, kind: Type, among: int = 2000, most: int = 20) -> list[str]:
    """Return the most frequent values of a string or list property among the newest contacts."""
    newest = sa.select(Contact.properties).order_by(Contact.id.desc()).limit(among)
    stored = [properties.get(name) for properties in current_session().scalars(newest)]
    values = Counter(chain.from_iterable(value if kind is Type.LIST else [value] for value in stored if value))
    return [value for value, _ in values.most_common(most)]


def holds_numbers(name: str, kind: Type) -> bool:
    """Return whether a value of this property looks like a phone number, in any notation, as masking decides it.

    Reads values until one does; the caller caches the result.
    """
    if kind not in (Type.STRING, Type.LIST, Type.NUMBER):
        return False
    dialects: dict[str, Values] = {"sqlite": SqliteValues(), "postgresql": PostgresValues()}
    text = dialects[dialect()].text(name)
    query = sa.select(text).where(text.is_not(None))
    if dialect() == "postgresql":
        query = query.where(text.op("~")("([^0-9０-９]*[0-9０-９]){8}"))
    values = current_session().scalars(query.execution_options(yield_per=2000))
    try:
        if kind is Type.NUMBER:
            return any(phone.normalise(value) for value in values)
        return any(phone.mask_inside(value) != value for value in values)
    finally:
        values.close()


def _group(group: Group, values: Values, local: dt.datetime) -> Truth:
    parts = [
        _group(child, values, local) if isinstance(child, Group) else _condition(child, values, local)
        for child in group.children
    ]
    match group.match:
        case Match.ALL:
            return sa.and_(sa.true(), *parts).self_group()
        case Match.ANY:
            return sa.or_(sa.false(), *parts).self_group()
        case Match.NONE:
            return _not(sa.or_(sa.false(), *parts))


def _not(truth: Truth) -> Truth:
    """Return a condition that is true exactly where `truth` is false or NULL."""
    return truth.self_group().is_not(sa.true())


def _condition(condition: Condition, values: Values, local: dt.datetime) -> Truth:
    if condition.operator in rules.NEGATIVE:
        positive = Condition(condition.property, condition.type, rules.NEGATIVE[condition.operator], condition.params)
        return _not(_condition(positive, values, local))
    if condition.operator is Operator.HAS_VALUE:
        return values.present(condition.property, condition.type)
    if condition.type is Type.DATETIME:
        return _datetime(condition, values.text(condition.property), local)
    return _COMPARED[condition.type](condition, values)


def _string(condition: Condition, values: Values) -> Truth:
    param = cast("str", condition.params[0])
    text = values.text(condition.property)
    match condition.operator:
        case Operator.EQUALS:
            return text == param
        case Operator.ONE_OF:
            return text.in_(param)
        case Operator.CONTAINS:
            return holds(text, param)
        case Operator.STARTS_WITH:
            return sa.func.substr(text, 1, len(param)) == param
    raise ValueError(condition.operator)


def _number(condition: Condition, values: Values) -> Truth:
    number = values.number(condition.property)
    # Converted through text so that 0.1 stays 0.1: PostgreSQL compares JSON numbers exactly, SQLite as doubles.
    low, *high = [sa.literal(Decimal(repr(param)), sa.Numeric()) for param in condition.params]
    match condition.operator:
        case Operator.EQUALS:
            return number == low
        case Operator.GREATER:
            return number > low
        case Operator.AT_LEAST:
            return number >= low
        case Operator.LESS:
            return number < low
        case Operator.AT_MOST:
            return number <= low
        case Operator.BETWEEN:
            return number.between(low, high[0])
    raise ValueError(condition.operator)


def _bool(condition: Condition, values: Values) -> Truth:
    return values.truth(condition.property, condition.operator is Operator.TRUE)


def _datetime(condition: Condition, text: sa.ColumnElement[str], local: dt.datetime) -> Truth:
    if condition.operator is Operator.ANNIVERSARY:
        return sa.func.substr(text, 6, 5).in_(rules.anniversary(condition, local))
    span = rules.span(condition, local)
    bounds: list[Truth] = []
    if span.start is not None:
        bounds.append(text >= span.start)
    if span.end is not None:
        bounds.append(text < span.end)
    return sa.and_(sa.true(), *bounds).self_group()


def _list(condition: Condition, values: Values) -> Truth:
    items: tuple[Any, ...] = condition.params[0]  # type: ignore[assignment]
    match condition.operator:
        case Operator.CONTAINS_ANY:
            return values.any_listed(condition.property, items)
        case Operator.CONTAINS_ALL:
            return values.all_listed(condition.property, items)
        case Operator.SAME_SET:
            return values.same_set(condition.property, items)
    raise ValueError(condition.operator)


_COMPARED: dict[Type, Callable[[Condition, Values], Truth]] = {
    Type.STRING: _string,
    Type.NUMBER: _number,
    Type.BOOL: _bool,
    Type.LIST: _list,
}


class Values(Protocol):
    """How one database reads typed values from the properties; NULL for a missing value."""

    def text(self, name: str) -> sa.ColumnElement[str]: ...
    def number(self, name: str) -> sa.ColumnElement[Any]: ...
    def truth(self, name: str, value: bool) -> Truth: ...
    def present(self, name: str, kind: Type) -> Truth: ...
    def any_listed(self, name: str, items: tuple[str, ...]) -> Truth: ...
    def all_listed(self, name: str, items: tuple[str, ...]) -> Truth: ...
    def same_set(self, name: str, items: tuple[str, ...]) -> Truth: ...


class SqliteValues:
    def _at(self, path: str, kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
        return sa.type_coerce(Contact.properties, sa.String()).op("->>", return_type=kind)(path)

    def text(self, name: str) -> sa.ColumnElement[str]:
        return self._at(_path(name), sa.String())

    def number(self, name: str) -> sa.ColumnElement[Any]:
        return self._at(_path(name), sa.Numeric())

    def truth(self, name: str, value: bool) -> Truth:
        return self._at(_path(name), sa.Integer()) == int(value)

    def present(self, name: str, kind: Type) -> Truth:
        if kind is Type.LIST:
            return self._at(_path(name) + "[0]", sa.String()).is_not(None)
        text = self.text(name)
        return text != "" if kind is Type.STRING else text.is_not(None)

    def any_listed(self, name: str, items: tuple[str, ...]) -> Truth:
        rows = self._each(name)
        return sa.exists().where(rows.c.value.in_(items)).correlate(Contact)

    def all_listed(self, name: str, items: tuple[str, ...]) -> Truth:
        rows = self._each(name)
        matches = sa.select(sa.func.count(rows.c.value.distinct())).where(rows.c.value.in_(items))
        return matches.correlate(Contact).scalar_subquery() == len(items)

    def same_set(self, name: str, items: tuple[str, ...]) -> Truth:
        rows = self._each(name)
        other = sa.exists().where(rows.c.value.not_in(items)).correlate(Contact)
        return sa.and_(self.all_listed(name, items), ~other).self_group()

    def _each(self, name: str) -> sa.TableValuedAlias:
        return sa.func.json_each(sa.type_coerce(Contact.properties, sa.String()), _path(name)).table_valued("value")


def _path(name: str) -> str:
    return f'$."{name}"'


class PostgresValues:
    def _json(self, name: str) -> Any:
        return sa.type_coerce(Contact.properties, postgresql.JSONB())[name]

    def text(self, name: str) -> sa.ColumnElement[str]:
        # Compared byte by byte, as on SQLite; equality and stored times need no linguistic collation.
        column: sa.ColumnElement[str] = self._json(name).astext.collate("C")
        return column

    def number(self, name: str) -> sa.ColumnElement[Any]:
        # Casting anything but a number would fail the whole statement.
        value = self._json(name)
        return sa.case((sa.func.jsonb_typeof(value) == "number", sa.cast(value, sa.Numeric())))

    def truth(self, name: str, value: bool) -> Truth:
        return self.text(name) == str(value).lower()

    def present(self, name: str, kind: Type) -> Truth:
        if kind is Type.LIST:
            first: sa.ColumnElement[str] = self._json(name)[0].astext
            return first.is_not(None)
        text = self.text(name)
        return text != "" if kind is Type.STRING else text.is_not(None)

    def any_listed(self, name: str, items: tuple[str, ...]) -> Truth:
        return self._listed(name, "?|", postgresql.array(items, type_=sa.Text()))

    def all_listed(self, name: str, items: tuple[str, ...]) -> Truth:
        return self._listed(name, "?&", postgresql.array(items, type_=sa.Text()))

    def same_set(self, name: str, items: tuple[str, ...]) -> Truth:
        only = sa.cast(sa.literal(json.dumps(items), sa.Text()), postgresql.JSONB())
        return sa.and_(self.all_listed(name, items), self._listed(name, "<@", only)).self_group()

    def _listed(self, name: str, operator: str, operand: sa.ColumnElement[Any]) -> Truth:
        truth: Truth = self._json(name).op(operator, is_comparison=True)(operand)
        return truth
