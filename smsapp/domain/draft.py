"""A campaign's draft: the one list of its fields. The columns, the form and the labels have the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from smsapp.domain.schedule import Schedule


@dataclass(frozen=True)
class Draft:
    """The fields of a draft; anything but the schedule's kind and zone may be missing."""

    name: str = ""
    segment_id: int | None = None
    channel_id: int | None = None
    template_id: int | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """variable -> {"property": name, "fallback": text or None} or {"fixed": text}"""
    schedule: Schedule = field(default_factory=Schedule)
    second_channel_id: int | None = None
    second_template_id: int | None = None

    def differences(self, other: Draft) -> list[str]:
        """Return the names of the fields in which the two differ, in the order of the form."""
        return [name for name in FIELDS if getattr(self, name) != getattr(other, name)]

    @property
    def choices(self) -> dict[str, int | None]:
        """The ids of the rows that are chosen, by their kind in CHOICES."""
        return {name: getattr(self, f"{name}_id") for name in CHOICES}


FIELDS = tuple(item.name for item in fields(Draft))
CHOICES = tuple(name.removesuffix("_id") for name in FIELDS if name.endswith("_id"))
"""What a draft chooses among stored rows: "segment", "channel" and so on; the id is in `segment_id`, `channel_id`."""
