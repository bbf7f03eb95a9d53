"""The values of a template's variables as SQL, formatted as in `domain/writing.py`, and which of them are forbidden.

One INSERT .. SELECT makes a run's values; previews use the same expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from smsapp.domain import bounds
from smsapp.domain.bounds import Bound
from smsapp.domain.contact import Type
from smsapp.domain.writing import DATES, LENGTH, MIDNIGHT, MONTHS, SEPARATORS, WORDS, Form
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import dialect

Text = sa.ColumnElement[str]


NOT_GIVEN: Text = sa.cast(sa.null(), sa.Text)
"""The value of a variable that comes with each request, where there is no request."""


@dataclass(frozen=True)
class Source:
    """The source of a variable's value, and its bound."""

    name: str
    """Name of the property, or of the variable if the value is `given`."""
    form: Form | None = None
    """None: as text."""
    number: bool = False
    fallback: str = ""
    bound: Bound | None = None
    """None: every value is allowed."""
    given: Text | None = None
    """The text itself, for each contact, in place of a property."""

    @property
    def written(self) -> Text:
        """The property as formatted text, or the text given; NULL if there is none."""
        if self.given is not None:
            return sa.func.nullif(self.given, "")
        return sa.func.nullif(_written(self.name, self.form, self.number), "")

    def value(self, text: Text) -> Text:
        """Return the variable's value for a property with this formatted `text`: that, the fallback, or NULL."""
        return sa.func.coalesce(text, self.fallback) if self.fallback else text

    def unfit(self, text: Text) -> sa.ColumnElement[bool]:
        """Return the condition that this text may not fill the variable; fallbacks are checked when they are typed."""
        if self.bound is None:
            return sa.false()
        matches = text.regexp_match(f"(?i){bounds.forbidden(self.bound)}")
        return sa.or_(sa.func.length(text) > self.bound.longest, sa.and_(_is_odd(text), matches))


def as_text(name: str) -> Text:
    """Return a property as the database converts it to text."""
    return sa.cast(Contact.properties[name].as_string(), sa.Text)


def _is_odd(text: Text) -> sa.ColumnElement[bool]:
    """Return the condition that a text may match `bounds.forbidden`: a cheap check before an expensive one."""
    if dialect() == "postgresql":
        marked = text.op("~", is_comparison=True)(f"[{bounds.MARKS}]")
        wordy = text.op("~", is_comparison=True)(f"[{bounds.WORDY}]")
    else:
        marked = text.op("GLOB", is_comparison=True)(f"*[{bounds.MARKS}]*")
        wordy = text.op("GLOB", is_comparison=True)(f"*[{bounds.WORDY}]*")
    many = many_figures(text)
    return sa.or_(marked, sa.and_(sa.func.length(text) >= bounds.FEWEST_FIGURES, sa.or_(wordy, many)))


def many_figures(text: Text) -> sa.ColumnElement[bool]:
    """Return the condition that a text has enough figures to contain a phone number."""
    if dialect() == "postgresql":
        without_figures = sa.func.length(sa.func.translate(text, bounds.FIGURES, ""))
        enough: sa.ColumnElement[bool] = sa.func.length(text) - without_figures >= bounds.FEWEST_FIGURES
        return enough
    return text.op("GLOB", is_comparison=True)("*".join(["", *["[0-9０-９]"] * bounds.FEWEST_FIGURES, ""]))


def _written(name: str, form: Form | None, number: bool) -> Text:
    text = as_text(name)
    if number:
        return _number(name, text)
    if form is None:
        return text
    if form in DATES:
        return sa.case((sa.and_(sa.func.length(text) == LENGTH, text.like("%-%T%:%")), _moment(text, form)), else_=text)
    if form in WORDS:
        yes, no = WORDS[form]
        return sa.case((text.in_(("true", "1")), yes), (text.in_(("false", "0")), no), else_=text)
    return _joined(name, text, SEPARATORS[form])


def _number(name: str, text: Text) -> Text:
    if dialect() == "postgresql":
        plain = text
    else:
        # SQLite would format the number with 15 digits; this is the stored text.
        stored: Text = sa.type_coerce(Contact.properties, sa.Text).op("->", return_type=sa.Text())(_path(name))
        plain = sa.case((stored.like("%e%"), sa.func.printf("%.3f", stored)), (stored.like('"%'), text), else_=stored)
    return sa.case((plain.like("%.%"), sa.func.rtrim(sa.func.rtrim(plain, "0"), ".")), else_=plain)


def _path(name: str) -> str:
    return f'$."{name}"'


def _moment(text: Text, form: Form) -> Text:
    date, time = _part(text, 1, 10), _part(text, 12, 5)
    month, day = sa.func.ltrim(_part(text, 6, 2), "0"), sa.func.ltrim(_part(text, 9, 2), "0")
    position = sa.func.strpos if dialect() == "postgresql" else sa.func.instr
    months = sa.literal(MONTHS, sa.Text)
    name = sa.func.substr(months, position(months, _part(text, 6, 2)) + 2, 3, type_=sa.Text)
    midnight = _part(text, 11, len(MIDNIGHT)) == MIDNIGHT
    forms: Mapping[Form, Callable[[], Text]] = {
        Form.DATE: lambda: date,
        Form.TIME: lambda: time,
        Form.DATE_ZH: lambda: _part(text, 1, 4) + "年" + month + "月" + day + "日",
        Form.DAY_ZH: lambda: month + "月" + day + "日",
        Form.DAY_AND_TIME_ZH: lambda: month + "月" + day + "日" + sa.case((midnight, ""), else_=time),
        Form.DATE_EN: lambda: name + " " + day + ", " + _part(text, 1, 4),
        Form.DAY_EN: lambda: name + " " + day,
        Form.DATE_AND_TIME: lambda: sa.case((midnight, date), else_=date + " " + time),
    }
    return forms[form]()


def _part(text: Text, start: int, length: int) -> Text:
    return sa.func.substr(text, start, length, type_=sa.Text)


def _joined(name: str, text: Text, separator: str) -> Text:
    if dialect() != "postgresql":
        column = sa.type_coerce(Contact.properties, sa.Text)
        each = sa.func.json_each(column, _path(name)).table_valued("value")
        items = sa.select(sa.func.group_concat(each.c.value, separator))
        return items.correlate(Contact).scalar_subquery()
    value: Any = sa.type_coerce(Contact.properties, postgresql.JSONB())[name]
    each = sa.func.jsonb_array_elements_text(value).table_valued("value", with_ordinality="place").render_derived()
    ordered: Any = postgresql.aggregate_order_by
    joined = sa.func.string_agg(each.c.value, ordered(sa.literal(separator, sa.Text), each.c.place), type_=sa.Text)
    listed = sa.select(joined).correlate(Contact).scalar_subquery()
    return sa.case((sa.func.jsonb_typeof(value) == "array", listed), else_=text)


def source_of(mapped: Mapping[str, Any], kind: Type, form: Form | None, bound: Bound | None) -> Source:
    """Return the source for a mapping {"property": .., "fallback": ..}."""
    return Source(mapped["property"], form, kind is Type.NUMBER, mapped.get("fallback") or "", bound)
