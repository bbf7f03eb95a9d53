"""What may fill a template's variables, for a person who chooses: how many people have each property, and examples."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from smsapp.domain import property_labels, writing
from smsapp.domain.campaign import personal
from smsapp.domain.contact import Type
from smsapp.domain.sms_template import variables
from smsapp.store.contacts import audience as people
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment, members
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

SAMPLED = 2000
"""People looked at; of a larger segment they come from several places of it."""
PLACES = 4
EXAMPLES = 30
"""People whose values are looked at for an example of each property."""


NEWEST = 20_000
"""People among whom values that stand out are looked for."""
MOST = 3


@dataclass(frozen=True)
class Coverage:
    """How many of the people looked at have a value of each property."""

    looked: int
    """People looked at."""
    whole: bool
    """True if these were all of the segment."""
    held: Mapping[str, int]
    examples: Mapping[str, str] = field(repr=False)
    """A value of each property as it is written in a text, whole: the door masks it."""


@dataclass(frozen=True)
class Lack:
    """How many people with a usable number lack a value of this variable, or have one that may not fill it."""

    variable: str
    missing: int
    unfit: int


@dataclass(frozen=True)
class Choice:
    """A property that can fill a variable, as it is offered."""

    name: str
    label: str
    type: Type
    held: int | None
    """How many of the people looked at have a value; None while nobody was looked at."""
    example: str = field(repr=False)
    double: bool
    """True if another property means the same: the technical name tells them apart."""

    @property
    def shown(self) -> str:
        return property_labels.shown(self.name, self.label, {self.name} if self.double else ())

    @property
    def forms(self) -> tuple[writing.Form, ...]:
        return writing.FORMS.get(self.type, ())


def choices(found: Coverage | None) -> list[Choice]:
    """Return the properties that can fill a variable, in the order of names."""
    doubles = property_labels.doubles(property_catalogue.labels(current_session()))
    return [
        Choice(
            row.name,
            row.label,
            Type(row.type),
            found.held.get(row.name, 0) if found else None,
            found.examples.get(row.name, "") if found else "",
            row.name in doubles,
        )
        for row in property_catalogue.properties(current_session())
    ]


def likely(variable: str, segment_id: int | None, now: dt.datetime) -> str | None:
    """Return the property that a variable is filled with unless somebody says otherwise; None if none fits.

    Of several that mean the same the one that most people of the segment have.
    """
    known = property_catalogue.labels(current_session())
    first = property_labels.names_alike(variable, known)
    others = property_labels.doubles(known).get(first, []) if first else []
    if first is None or not others or segment_id is None:
        return first
    held = coverage(segment_id, SAMPLED + 1, now).held
    return max([first, *others], key=lambda name: held.get(name, 0))


def coverage(segment_id: int, size: int, now: dt.datetime) -> Coverage:
    """Count the values that a segment's people have; of more than SAMPLED people a sample."""
    segment = current_session().get_one(Segment, segment_id)
    chosen = members(segment, now)
    whole = size <= SAMPLED
    last = 0 if whole else current_session().scalar(sa.select(sa.func.max(Contact.id))) or 0
    places = 1 if whole else PLACES
    looked, held = 0, Counter[str]()
    for place in range(places):
        n, some = people.count_values(current_session(), chosen, last * place // places, SAMPLED // places)
        looked += n
        held.update(some)
    return Coverage(looked, whole, held, _examples(chosen))


def _examples(chosen: sa.Select[Any]) -> dict[str, str]:
    types = property_catalogue.property_types(current_session())
    first = chosen.order_by(sa.literal_column("1")).limit(EXAMPLES)
    found: dict[str, str] = {}
    for properties in current_session().scalars(sa.select(Contact.properties).where(Contact.id.in_(first))):
        for name, value in properties.items():
            if value not in ("", None, []):
                form = writing.form_of({}, types.get(name, Type.STRING), "是")
                found.setdefault(name, writing.written(value, form))
    return found


@dataclass(frozen=True)
class Standout:
    """Values of one variable that a person should see before they go out, whole: the door masks them."""

    variable: str
    longest: list[str] = field(repr=False)
    figures: list[str] = field(repr=False)
    """With so many figures that they could hold a number to call."""
    unfit: list[str] = field(repr=False)
    """These do not go out."""


def standouts(plan: Audience, template: SmsTemplate, mapping: Mapping[str, Any]) -> list[Standout]:
    """Return, for each variable that is filled from a property, the values that stand out, from the newest people."""
    names = personal(variables(template.text), mapping)
    return [
        Standout(name, **people.values_to_check(current_session(), plan, place, NEWEST, MOST))
        for place, name in enumerate(names)
    ]


def lacks(plan: Audience, template: SmsTemplate, mapping: Mapping[str, Any]) -> list[Lack]:
    """Return the variables for which somebody has no value, or one that may not be sent, in the template's order."""
    names = personal(variables(template.text), mapping)
    counts = zip(names, people.count_unusable_values(current_session(), plan), strict=True)
    return [Lack(name, missing, unfit) for name, (missing, unfit) in counts if missing or unfit]
