"""A campaign's draft: the one list of its fields. The columns, the form and the labels have the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.schedule import Schedule


@dataclass(frozen=True)
class Draft:
    """The fields of a draft; anything but the schedule's kind and zone may be missing."""

    name: str = ""
    audience: AudienceRule = field(default_factory=AudienceRule)
    channel_id: int | None = None
    template_id: int | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """variable -> {"property": name, "fallback": text or None} or {"fixed": text}"""
    schedule: Schedule = field(default_factory=Schedule)
    second_channel_id: int | None = None
    second_template_id: int | None = None
    consented_only: bool = False
    """Only those get a text who agreed to such texts."""
    leave_out: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """Whom the campaign leaves out by choice: domain/leave_out.py LeaveOut.as_json()"""
    left_out_carriers: Sequence[str] = field(default_factory=list)
    """Carriers (domain/carrier_prefixes.py) whose numbers get no text."""
    seeds: bool = True
    """The seeds of the test group, if there are any, get one text of each of its runs."""

    def differences(self, other: Draft) -> list[str]:
        """Return the names of the fields in which the two differ, in the order of the form."""
        return [name for name in FIELDS if getattr(self, name) != getattr(other, name)]

    @property
    def choices(self) -> dict[str, int | None]:
        """The ids of the rows that are chosen, by their kind in CHOICES."""
        return {name: getattr(self, f"{name}_id") for name in CHOICES}


FIELDS = tuple(item.name for item in fields(Draft))
CHOICES = tuple(name.removesuffix("_id") for name in FIELDS if name.endswith("_id"))
"""What a draft chooses among stored rows: "channel", "template" and so on; the id is in `channel_id`, `template_id`."""
