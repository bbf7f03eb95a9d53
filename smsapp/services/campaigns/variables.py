"""The properties that can fill a template's variables: how many people have each, and examples."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import property_labels, writing
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import personal
from smsapp.domain.contact import PRESETS, Type
from smsapp.domain.sms_template import variables
from smsapp.services.contacts import audience
from smsapp.store.contacts import audience_values, contacts, property_catalogue
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import ContactIds
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

SAMPLED = 2000
"""The most people read; of a larger segment they come from PLACES places of it."""
PLACES = 4
EXAMPLES = 30
"""People whose values are read for an example of each property."""


NEWEST = 20_000
"""How many of the newest people are searched for values that stand out."""
MOST = 3


@dataclass(frozen=True)
class Coverage:
    """How many of the people read have a value of each property."""

    looked: int
    """People read."""
    whole: bool
    """True if these were all of the segment."""
    held: Mapping[str, int]
    examples: Mapping[str, Any] = field(repr=False)
    """A value of each property."""


@dataclass(frozen=True)
class UnusableValues:
    """How many people with a usable number have no value for this variable, or one out of its bound."""

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
    """How many of the people read have a value; None if nobody was read."""
    example: str = field(repr=False)
    """A value as it is written in a text, not masked: the page masks it."""
    double: bool
    """True if another property means the same: the technical name tells them apart."""

    @property
    def shown(self) -> str:
        return property_labels.shown(self.name, self.label, {self.name} if self.double else ())

    @property
    def forms(self) -> tuple[writing.Form, ...]:
        return writing.FORMS.get(self.type, ())


def choices(coverage: Coverage | None) -> list[Choice]:
    """Return the properties that can fill a variable, in the order of names."""
    properties = property_catalogue.properties(current_session())
    doubles = property_labels.doubles(dict.fromkeys(PRESETS, "") | {row.name: row.label for row in properties})
    return [
        Choice(
            row.name,
            row.label,
            Type(row.type),
            coverage.held.get(row.name, 0) if coverage else None,
            _example(coverage.examples.get(row.name), Type(row.type)) if coverage else "",
            row.name in doubles,
        )
        for row in properties
    ]


def likely(variable: str, rule: AudienceRule, now: dt.datetime) -> str | None:
    """Return the default property of a variable; None if none fits.

    If several mean the same, return the one that most people of the audience have; raises NotFound, Refusal.
    """
    label_by_name = property_catalogue.labels(current_session())
    first = property_labels.names_alike(variable, label_by_name)
    doubles = property_labels.doubles(label_by_name).get(first, []) if first else []
    if first is None or not doubles or not rule.include:
        return first
    n_by_name = coverage(audience.members(rule, now), SAMPLED + 1).held
    return max([first, *doubles], key=lambda name: n_by_name.get(name, 0))


def coverage_of(people: Sequence[Mapping[str, Any]]) -> Coverage:
    """Count the values of all people of an audience."""
    held = Counter(name for properties in people for name, _value in _held(properties))
    return Coverage(len(people), True, held, _examples(people[:EXAMPLES]))


def coverage(member_ids: ContactIds, size: int) -> Coverage:
    """Count the values of these people; of more than SAMPLED those of a sample."""
    complete = size <= SAMPLED
    last_id = 0 if complete else contacts.last_id(current_session())
    places = 1 if complete else PLACES
    n_contacts, n_by_name = 0, Counter[str]()
    for place in range(places):
        n, n_in_place = audience_values.count_values(
            current_session(), member_ids, last_id * place // places, SAMPLED // places
        )
        n_contacts += n
        n_by_name.update(n_in_place)
    examples = _examples(contacts.examples(current_session(), member_ids, EXAMPLES))
    return Coverage(n_contacts, complete, n_by_name, examples)


def _held(properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the properties that have a value, as `count_values` counts them."""
    return ((name, value) for name, value in properties.items() if value not in ("", None, []))


def _examples(people: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return {property: the first value of these people}."""
    examples: dict[str, Any] = {}
    for properties in reversed(people):
        examples.update(_held(properties))
    return examples


def _example(value: Any, kind: Type) -> str:
    return "" if value is None else writing.written(value, writing.form_of({}, kind, "是"))


@dataclass(frozen=True)
class NotableValues:
    """Values of one variable that a person should see before they go out, not masked: the page masks them."""

    variable: str
    longest: list[str] = field(repr=False)
    figures: list[str] = field(repr=False)
    """Values with so many digits that they could contain a phone number."""
    unfit: list[str] = field(repr=False)
    """Values that are not sent."""


def notable_values(plan: Audience, template: SmsTemplate, mapping: Mapping[str, Any]) -> list[NotableValues]:
    """Return, for each variable that is filled from a property, the values that stand out, from the newest people."""
    names = personal(variables(template.text), mapping)
    return [
        NotableValues(name, **audience_values.values_to_check(current_session(), plan, place, NEWEST, MOST))
        for place, name in enumerate(names)
    ]


def unusable_values(plan: Audience, template: SmsTemplate, mapping: Mapping[str, Any]) -> list[UnusableValues]:
    """Return the variables for which somebody has no value, or an unfit one, in the template's order."""
    names = personal(variables(template.text), mapping)
    counts = zip(names, audience_values.count_unusable_values(current_session(), plan), strict=True)
    return [UnusableValues(name, missing, unfit) for name, (missing, unfit) in counts if missing or unfit]
