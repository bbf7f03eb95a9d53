"""Subscribers of listmonk as contacts: the e-mail address is the user id, the attributes become properties.

`attributes` is JSON; the number is the one that stands under a name such as phone or mobile. Who is on its blocklist
comes in and goes on the opt-out list, unless the number cannot be read; who is disabled stays out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from smsapp.domain import phone
from smsapp.domain.flat_values import Columns, flat
from smsapp.domain.guesses import PHONES
from smsapp.domain.other_systems import ID_HEADING, MARKS, OPTED_OUT, PHONE_HEADING, reason_of_opted_out
from smsapp.domain.rejection import Reason

ATTRIBUTES = "attributes"
PROPERTIES = ("email", "name")
STATES = {"": None, "enabled": None, "disabled": Reason.DISABLED, "blocklisted": None}
"""What a subscriber's status means: None, it comes in."""
BLOCKED = "blocklisted"


class Subscribers:
    """The subscribers of one file, read in parts; `marks` holds what became of each (domain/other_systems.py)."""

    def __init__(self, region: str) -> None:
        self.marks = bytearray()
        self._region = region
        self._row_of: dict[str, int] = {}

    def read(self, columns: Columns, count: int, bad: Mapping[int, Reason]) -> Columns:
        """Return the columns of these rows, user id and phone first; `bad` are rows that are no subscriber."""
        by_name = {name.strip().casefold(): values for name, values in columns.items()}
        blank = [""] * count
        emails = [email.strip() for email in by_name.get("email", blank)]
        states = [state.strip().casefold() for state in by_name.get("status", blank)]
        marks = bytearray(count)
        objects = [_object(text, i, marks) for i, text in enumerate(by_name.get(ATTRIBUTES, blank))]
        attributes = flat(objects, ())
        names = [name for name in attributes if name.strip().casefold().replace(" ", "_") in PHONES]
        numbers = [_first(values) for values in zip(*(attributes[name] for name in names), strict=True)] or [*blank]
        for i, (email, state) in enumerate(zip(emails, states, strict=True)):
            if state == BLOCKED:
                marks[i] |= OPTED_OUT
            reason = bad.get(i) or STATES.get(state, Reason.UNKNOWN_STATUS)
            if reason is None and state == BLOCKED:
                readings = phone.readings(numbers[i], self._region)
                numbers[i] = readings[0] if len(readings) == 1 else numbers[i]
                reason = reason_of_opted_out(readings) if numbers[i] else Reason.BLOCKED_WITHOUT_NUMBER
            if reason is None and not email and (state or objects[i]):
                reason = Reason.BAD_ID
            if reason is not None:
                marks[i] = marks[i] & OPTED_OUT | MARKS[reason]
        begin = len(self.marks)
        self.marks += marks
        self._choose(emails, begin)
        properties = {name: by_name[name] for name in PROPERTIES if name in by_name}
        others = {f"{ATTRIBUTES}.{name}": values for name, values in attributes.items() if name not in names}
        return {ID_HEADING: [email.casefold() for email in emails], PHONE_HEADING: numbers, **properties, **others}

    def _choose(self, emails: Sequence[str], begin: int) -> None:
        """Mark all rows of an address but its last one as merged."""
        for row, email in enumerate(emails, begin):
            if self.marks[row] & ~OPTED_OUT or not email:
                continue
            before = self._row_of.get(email.casefold())
            if before is not None:
                self.marks[before] |= MARKS[Reason.MERGED]
            self._row_of[email.casefold()] = row


def short_name(name: str) -> str:
    """Return the name of an attribute alone."""
    return name.removeprefix(f"{ATTRIBUTES}.")


def _object(text: str, i: int, marks: bytearray) -> Mapping[str, Any]:
    if not text.strip():
        return {}
    try:
        attributes = orjson.loads(text)
    except orjson.JSONDecodeError:
        attributes = None
    if isinstance(attributes, dict):
        return attributes
    marks[i] = MARKS[Reason.BROKEN_ATTRIBUTES]
    return {}


def _first(values: Sequence[Any]) -> str:
    return next((str(value).strip() for value in values if value not in (None, "")), "")
