"""Which conditions a reader who may not see whole numbers may not make: their counts would reveal the digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from smsapp.domain import phone
from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.segment import PRESENCE, Condition, Group, Operator
from smsapp.services.contacts import segments

Hides = Callable[[str, Type, Operator, Sequence[str]], bool]
"""(property, type, operator, texts to compare with) -> whether the condition is not for this reader."""


def hides(*, sees_full_numbers: bool) -> Hides:
    """Return which conditions are not for a reader.

    A property of phone numbers may only be tested for presence. One that holds numbers among other texts may be
    compared unless digits are asked for.
    """
    phones = set() if sees_full_numbers else segments.phone_properties()

    def is_hidden(name: str, kind: Type, operator: Operator, texts: Sequence[str]) -> bool:
        if sees_full_numbers or operator in PRESENCE:
            return False
        return name in phones or (_asks_for_digits(kind, texts) and segments.holds_numbers(name))

    return is_hidden


def refuse_hidden(rule: Group, *, sees_full_numbers: bool) -> None:
    """Raise Refusal, with the place of each condition of this rule that is not for this reader."""
    is_hidden = hides(sees_full_numbers=sees_full_numbers)
    problems = [
        Problem("segment_number_hidden", place)
        for place, condition in _placed(rule, "rule")
        if is_hidden(condition.property, condition.type, condition.operator, _texts(condition))
    ]
    if problems:
        raise Refusal(*problems)


def _asks_for_digits(kind: Type, texts: Sequence[str]) -> bool:
    """Return whether an answer would reveal digits of a masked number."""
    return kind is Type.NUMBER or (kind in (Type.STRING, Type.LIST) and any(phone.reveals(text) for text in texts))


def _placed(group: Group, place: str) -> Iterator[tuple[str, Condition]]:
    for number, child in enumerate(group.children):
        if isinstance(child, Group):
            yield from _placed(child, f"{place}.{number}")
        elif isinstance(child, Condition):
            yield f"{place}.{number}", child


def _texts(condition: Condition) -> list[str]:
    values = condition.params
    return [text for value in values for text in (value if isinstance(value, tuple) else (str(value),))]
