"""What a run keeps of everything that may change while it goes on, or be deleted afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from smsapp.domain import quiet
from smsapp.domain.quiet import QuietHours
from smsapp.domain.sms_template import TemplateSnapshot

NO_HOURS = ("00:00", "00:00")


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """The template, the values, the channel's name and price, and the hours of one run, as they were when it began."""

    segment: str = ""
    """The names of the segments, as domain/audience_rule.py NamedAudience.notation."""
    zone: str = ""
    """Time zone of the schedule; the quiet hours are read in it."""
    mapping: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """variable -> where its value comes from, as in `Campaign.mapping`."""
    code: str = ""
    name: str = ""
    text: str = ""
    signature: str = ""
    variables: tuple[str, ...] = ()
    marketing: bool = False
    channel: str = ""
    """Name of the channel."""
    price: Decimal | None = None
    """Of one billed part, in `currency`; None if nobody entered one."""
    currency: str = ""
    quiet: tuple[str, str] | None = None
    """The hours in which no text may leave ("22:00", "08:00"); None if it may at any time."""
    rest: tuple[str, ...] = ()
    """The dates ("2026-10-01") in `zone` on which none may leave, as far as the calendar told when the run began."""

    @property
    def template(self) -> TemplateSnapshot:
        return TemplateSnapshot(self.code, self.text, self.signature, self.variables, self.marketing)

    @property
    def quiet_hours(self) -> QuietHours | None:
        return quiet.read(*(self.quiet or NO_HOURS), self.zone, self.rest) if self.quiet or self.rest else None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        price = None if self.price is None else str(self.price)
        value = asdict(self) | {"variables": list(self.variables), "price": price, "rest": list(self.rest)}
        return value if self.rest else {name: item for name, item in value.items() if name != "rest"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunSnapshot:
        """Return the snapshot that `as_json` wrote."""
        price, hours = value["price"], value["quiet"]
        return cls(
            **{
                **value,
                "variables": tuple(value["variables"]),
                "rest": tuple(value.get("rest", ())),
                "price": None if price is None else Decimal(price),
                "quiet": None if hours is None else (hours[0], hours[1]),
            }
        )
