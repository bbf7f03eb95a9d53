"""What China's carriers know of a signature, a template, a link or a phone number (报备), and what follows from it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier


class RegistrationKind(enum.StrEnum):
    """What is registered."""

    SIGNATURE = "signature"
    TEMPLATE = "template"
    """Its value is the provider's template code."""
    LINK = "link"
    PHONE = "phone"
    """A contact number that stands in a text."""


class RegistrationState(enum.StrEnum):
    """What a carrier says."""

    REGISTERED = "registered"
    """And texts arrive as expected."""
    TO_VERIFY = "to_verify"
    """Registered; whether texts arrive is still to be seen: send little and often at first."""
    UNDER_WAY = "under_way"
    """The carrier has not answered yet."""
    LAPSED = "lapsed"
    """Nothing was sent with it for more than six months, or its term is over."""
    FAILED = "failed"
    """The papers do not match, or the carrier cannot do it."""
    UNREGISTERED = "unregistered"
    UNKNOWN = "unknown"
    """Nobody has said, or not lately."""


class Light(enum.StrEnum):
    """How a state is shown."""

    GREEN = "green"
    HOLLOW = "hollow"
    AMBER = "amber"
    RED = "red"
    GREY = "grey"


LIGHTS: Mapping[RegistrationState, Light] = {
    RegistrationState.REGISTERED: Light.GREEN,
    RegistrationState.TO_VERIFY: Light.HOLLOW,
    RegistrationState.UNDER_WAY: Light.AMBER,
    RegistrationState.LAPSED: Light.RED,
    RegistrationState.FAILED: Light.RED,
    RegistrationState.UNREGISTERED: Light.RED,
    RegistrationState.UNKNOWN: Light.GREY,
}
WORST_FIRST = (Light.RED, Light.AMBER, Light.HOLLOW, Light.GREY, Light.GREEN)
GOOD = frozenset({RegistrationState.REGISTERED, RegistrationState.TO_VERIFY})


class RegistrationSource(enum.StrEnum):
    """Who said it."""

    PROVIDER = "provider"
    PERSON = "person"


UNHEARD = dt.timedelta(days=7)
"""After this time without an answer, what a provider said last counts no more, unless it was bad."""
UNREVIEWED = dt.timedelta(days=180)
"""The same of what a person said without naming a term."""
UNUSED = dt.timedelta(days=180)
"""A signature lapses if nothing is sent with it for this long."""
REMIND_DAYS = 30
"""How many days before a term is over people are reminded, unless they say otherwise."""
LONGEST_REMINDER = 180
LONGEST_VALUE = 300
LONGEST_REASON = 300

EXPIRED, UNHEARD_OF, SAID_USABLE = "TERM_OVER", "NOT_HEARD_LATELY", "USABLE_SAYS_PROVIDER"
"""Reasons of our own, beside those of providers."""


@dataclass(frozen=True)
class Registration:
    """What is stored of one value at one carrier."""

    kind: RegistrationKind
    value: str
    carrier: Carrier
    state: RegistrationState
    reasons: tuple[str, ...]
    """Codes of the provider or of ours; of a person, the words."""
    since: dt.datetime | None
    """When the carrier decided, or when the state was first heard of."""
    at: dt.datetime
    """When it was heard of last."""
    source: RegistrationSource
    expires_at: dt.datetime | None = None
    remind_days: int = REMIND_DAYS

    @property
    def shown(self) -> str:
        """The value as people know it."""
        return Subject(self.kind, self.value, {}).shown

    @property
    def light(self) -> Light:
        return LIGHTS[self.state]

    @property
    def is_red(self) -> bool:
        return self.light is Light.RED

    def as_of(self, now: dt.datetime) -> Registration:
        """Return what this amounts to now: a term that is over has lapsed; what nobody has confirmed is unknown."""
        if self.state in GOOD and self.expires_at is not None and self.expires_at <= now:
            return self._as(RegistrationState.LAPSED, EXPIRED, self.expires_at)
        patience = UNHEARD if self.source is RegistrationSource.PROVIDER else UNREVIEWED
        if not self.is_red and self.expires_at is None and self.at + patience < now:
            return self._as(RegistrationState.UNKNOWN, UNHEARD_OF, self.at)
        return self

    def _as(self, state: RegistrationState, reason: str, since: dt.datetime) -> Registration:
        return Registration(
            self.kind, self.value, self.carrier, state, (reason,), since, self.at, self.source, self.expires_at,
            self.remind_days,
        )  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """Something that is registered, with what each carrier says of it; a carrier without an entry is unknown."""

    kind: RegistrationKind
    value: str
    by_carrier: Mapping[Carrier, Registration]

    @property
    def shown(self) -> str:
        """The value as people know it: a signature stands in brackets."""
        return f"【{self.value}】" if self.kind is RegistrationKind.SIGNATURE else self.value

    @property
    def in_address(self) -> str:
        """The value for the address of a page; "" for a phone number, which no address may hold."""
        return "" if self.kind is RegistrationKind.PHONE else self.value

    def state(self, carrier: Carrier) -> RegistrationState:
        registration = self.by_carrier.get(carrier)
        return registration.state if registration else RegistrationState.UNKNOWN

    @property
    def lights(self) -> list[tuple[Carrier, RegistrationState, Registration | None]]:
        """One for each carrier, in their usual order."""
        return [(carrier, self.state(carrier), self.by_carrier.get(carrier)) for carrier in REGISTRARS]


def worst(subjects: Iterable[Subject]) -> dict[Carrier, Registration]:
    """Return the worst of what each carrier says of these; carriers that have said nothing are absent."""
    result: dict[Carrier, Registration] = {}
    for subject in subjects:
        for carrier, registration in subject.by_carrier.items():
            before = result.get(carrier)
            if before is None or WORST_FIRST.index(registration.light) < WORST_FIRST.index(before.light):
                result[carrier] = registration
    return result


def states(registrations: Mapping[Carrier, Registration]) -> dict[str, str]:
    """Return what a campaign stores of the registrations it is confirmed with: {carrier: state}."""
    return {str(carrier): str(registration.state) for carrier, registration in sorted(registrations.items())}


def lapsed(
    confirmed: Mapping[str, str], now: Mapping[Carrier, Registration], left_out: Sequence[str]
) -> dict[Carrier, Registration]:
    """Return the carriers that were not red when a person confirmed and are now, but for those that are left out."""
    return {
        carrier: registration
        for carrier, registration in now.items()
        if registration.is_red
        and carrier not in left_out
        and LIGHTS[RegistrationState(confirmed.get(carrier, RegistrationState.UNKNOWN))] is not Light.RED
    }


def lapses_at(used: dt.datetime | None, registration: Registration) -> dt.datetime | None:
    """Return when a registration will lapse if nothing is sent with it; None if it will not, or is not in force.

    `used`: when something was sent with it last. A person's term counts as it was given.
    """
    if registration.state not in GOOD:
        return None
    if registration.expires_at is not None:
        return registration.expires_at
    if registration.kind is not RegistrationKind.SIGNATURE:
        return None
    moments = [moment for moment in (used, registration.since) if moment is not None]
    return max(moments) + UNUSED if moments else None
