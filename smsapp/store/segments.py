"""Segments and, for static and uploaded ones, their members; the rule tree as SQL on both databases."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from smsapp.domain import segment as rules
from smsapp.domain.contact import Type
from smsapp.domain.segment import Condition, Group, Kind, Match, Operator
from smsapp.store.contacts import Contact
from smsapp.store.db import Base, BigId, dialect
from smsapp.store.settings import settings

Truth = sa.ColumnElement[bool]


class Segment(Base):
    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """dynamic, static, uploaded"""
    rule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="SET NULL"))
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


def members(segment: Segment, now: dt.datetime) -> sa.Select[tuple[int]]:
    """Return the select of the segment's contact ids: a dynamic one's rule as of `now`, the stored members of another.

    Raises Refusal if the stored rule cannot be read.
    """
    if segment.kind == Kind.DYNAMIC:
        return matching(rules.from_json(segment.rule), now)
    return sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)


def matching(rule: Group, now: dt.datetime) -> sa.Select[tuple[int]]:
    """Return the select of the ids of contacts this rule holds for as of `now` (aware)."""
    local = now.astimezone(ZoneInfo(settings().DEFAULT_ZONE)).replace(tzinfo=None)
    dialects: dict[str, Values] = {"sqlite": SqliteValues(), "postgresql": PostgresValues()}
    found = sa.select(Contact.id)
    return found.where(_group(rule, dialects[dialect()], local)) if rule.children else found


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
    """Return a condition that holds exactly where `truth` does not, unknown included."""
    return truth.self_group().is_not(sa.true())


def _condition(condition: Condition, values: Values, local: dt.datetime) -> Truth:
    if condition.operator in rules.NEGATIVE:
        positive = Condition(
            condition.property, condition.type, rules.NEGATIVE[condition.operator], condition.params
        )
        return _not(_condition(positive, values, local))
    if condition.operator is Operator.HAS_VALUE:
        return values.present(condition.property, condition.type)
    match condition.type:
        case Type.STRING:
            return _string(condition, values)
        case Type.NUMBER:
            return _number(condition, values.number(condition.property))
        case Type.BOOL:
            return values.truth(condition.property, condition.operator is Operator.TRUE)
        case Type.DATETIME:
            return _datetime(condition, values.text(condition.property), local)
        case Type.LIST:
            return _list(condition, values)


def _string(condition: Condition, values: Values) -> Truth:
    params: tuple[Any, ...] = condition.params
    text = values.text(condition.property)
    match condition.operator:
        case Operator.EQUALS:
            return text == params[0]
        case Operator.ONE_OF:
            return text.in_(params[0])
        case Operator.CONTAINS:
            # Not LIKE: it would need escaping, and on SQLite it takes a for A.
            return values.position(text, params[0]) > 0
        case Operator.STARTS_WITH:
            return sa.func.substr(text, 1, len(params[0])) == params[0]
    raise ValueError(condition.operator)


def _number(condition: Condition, number: sa.ColumnElement[Any]) -> Truth:
    # By way of text 0.1 stays 0.1: PostgreSQL compares JSON numbers exactly, SQLite as doubles read from the same text.
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
    wanted: tuple[Any, ...] = condition.params[0]  # type: ignore[assignment]
    match condition.operator:
        case Operator.CONTAINS_ANY:
            return values.any_listed(condition.property, wanted)
        case Operator.CONTAINS_ALL:
            return values.all_listed(condition.property, wanted)
        case Operator.SAME_SET:
            return values.same_set(condition.property, wanted)
    raise ValueError(condition.operator)


class Values(Protocol):
    """How one database reads typed values out of the properties; NULL where there is none."""

    def text(self, name: str) -> sa.ColumnElement[str]: ...
    def number(self, name: str) -> sa.ColumnElement[Any]: ...
    def truth(self, name: str, value: bool) -> Truth: ...
    def present(self, name: str, kind: Type) -> Truth: ...
    def position(self, text: sa.ColumnElement[str], part: str) -> sa.ColumnElement[int]: ...
    def any_listed(self, name: str, wanted: tuple[str, ...]) -> Truth: ...
    def all_listed(self, name: str, wanted: tuple[str, ...]) -> Truth: ...
    def same_set(self, name: str, wanted: tuple[str, ...]) -> Truth: ...


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
        found = self.text(name)
        return found != "" if kind is Type.STRING else found.is_not(None)

    def position(self, text: sa.ColumnElement[str], part: str) -> sa.ColumnElement[int]:
        return sa.func.instr(text, part)

    def any_listed(self, name: str, wanted: tuple[str, ...]) -> Truth:
        each = self._each(name)
        return sa.exists().where(each.c.value.in_(wanted)).correlate(Contact)

    def all_listed(self, name: str, wanted: tuple[str, ...]) -> Truth:
        each = self._each(name)
        found = sa.select(sa.func.count(each.c.value.distinct())).where(each.c.value.in_(wanted))
        return found.correlate(Contact).scalar_subquery() == len(wanted)

    def same_set(self, name: str, wanted: tuple[str, ...]) -> Truth:
        each = self._each(name)
        other = sa.exists().where(each.c.value.not_in(wanted)).correlate(Contact)
        return sa.and_(self.all_listed(name, wanted), ~other).self_group()

    def _each(self, name: str) -> sa.TableValuedAlias:
        return sa.func.json_each(sa.type_coerce(Contact.properties, sa.String()), _path(name)).table_valued("value")


def _path(name: str) -> str:
    return f'$."{name}"'


class PostgresValues:
    def _json(self, name: str) -> sa.ColumnElement[Any]:
        return sa.type_coerce(Contact.properties, postgresql.JSONB())[name]

    def text(self, name: str) -> sa.ColumnElement[str]:
        # Compared byte by byte, as SQLite does; a dictionary's order is no use for equality and stored times.
        return sa.type_coerce(Contact.properties, postgresql.JSONB())[name].astext.collate("C")

    def number(self, name: str) -> sa.ColumnElement[Any]:
        # A cast of anything but a number would fail the whole statement.
        found = self._json(name)
        return sa.case((sa.func.jsonb_typeof(found) == "number", sa.cast(found, sa.Numeric())))

    def truth(self, name: str, value: bool) -> Truth:
        return self.text(name) == str(value).lower()

    def present(self, name: str, kind: Type) -> Truth:
        if kind is Type.LIST:
            return sa.type_coerce(self._json(name), postgresql.JSONB())[0].astext.is_not(None)
        found = self.text(name)
        return found != "" if kind is Type.STRING else found.is_not(None)

    def position(self, text: sa.ColumnElement[str], part: str) -> sa.ColumnElement[int]:
        return sa.func.strpos(text, part)

    def any_listed(self, name: str, wanted: tuple[str, ...]) -> Truth:
        return self._json(name).op("?|", is_comparison=True)(postgresql.array(wanted, type_=sa.Text()))

    def all_listed(self, name: str, wanted: tuple[str, ...]) -> Truth:
        return self._json(name).op("?&", is_comparison=True)(postgresql.array(wanted, type_=sa.Text()))

    def same_set(self, name: str, wanted: tuple[str, ...]) -> Truth:
        only = sa.cast(sa.literal(json.dumps(wanted), sa.Text()), postgresql.JSONB())
        return sa.and_(self.all_listed(name, wanted), self._json(name).op("<@", is_comparison=True)(only)).self_group()
