"""Values of properties in SQL, typed, as each database reads them from JSON."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.contact import Type
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import dialect

Truth = sa.ColumnElement[bool]


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
        return self._list_value(name, "?|", postgresql.array(items, type_=sa.Text()))

    def all_listed(self, name: str, items: tuple[str, ...]) -> Truth:
        return self._list_value(name, "?&", postgresql.array(items, type_=sa.Text()))

    def same_set(self, name: str, items: tuple[str, ...]) -> Truth:
        only = sa.cast(sa.literal(json.dumps(items), sa.Text()), postgresql.JSONB())
        return sa.and_(self.all_listed(name, items), self._list_value(name, "<@", only)).self_group()

    def _list_value(self, name: str, operator: str, operand: sa.ColumnElement[Any]) -> Truth:
        truth: Truth = self._json(name).op(operator, is_comparison=True)(operand)
        return truth


def property_values() -> Values:
    """Return how the database in use reads values."""
    return PostgresValues() if dialect() == "postgresql" else SqliteValues()


def frequent_values(session: Session, name: str, kind: Type, among: int = 2000, most: int = 20) -> list[str]:
    """Return the most frequent values of a string or list property among the newest contacts."""
    newest = sa.select(Contact.properties).order_by(Contact.id.desc()).limit(among)
    stored = [properties.get(name) for properties in session.scalars(newest)]
    values = Counter(chain.from_iterable(value if kind is Type.LIST else [value] for value in stored if value))
    return [value for value, _ in values.most_common(most)]


def holds_numbers(session: Session, name: str, kind: Type) -> bool:
    """Return whether a value of this property looks like a phone number, in any notation, as masking decides it.

    Reads values until one does; the caller caches the result.
    """
    if kind not in (Type.STRING, Type.LIST, Type.NUMBER):
        return False
    text = property_values().text(name)
    query = sa.select(text).where(text.is_not(None))
    if dialect() == "postgresql":
        query = query.where(text.op("~")("([^0-9０-９]*[0-9０-９]){8}"))
    values = session.scalars(query.execution_options(yield_per=2000))
    try:
        if kind is Type.NUMBER:
            return any(phone.normalise(value) for value in values)
        return any(phone.mask_inside(value) != value for value in values)
    finally:
        values.close()
