"""What Chinese carriers will make of a draft: what they registered of its texts, and how many numbers each has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.contact_details import link_variables
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Problem
from smsapp.domain.registration import Light, Registration, RegistrationState, Subject, worst
from smsapp.services.templates import registration_rule, registrations
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import carrier_counts
from smsapp.store.contacts.audience import Audience
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate


@dataclass(frozen=True)
class CarrierLine:
    """One carrier: the worst light, how many numbers get a message there, and whether it is left out."""

    carrier: Carrier
    registration: Registration | None
    n: int | None
    """None while nobody has counted."""
    left_out: bool

    @property
    def can_be_left_out(self) -> bool:
        return self.carrier in REGISTRARS


@dataclass(frozen=True)
class RegistrationLook:
    """The registrations that a draft depends on; each part is computed once, when a page first uses it."""

    draft: Draft
    template: SmsTemplate
    now: dt.datetime
    plan: Callable[[], Audience | None]
    """Returns the draft's audience, without those whom it leaves out by choice; None while it is for nobody."""

    @cached_property
    def subjects(self) -> list[Subject]:
        """The signature, the template, and the links and numbers of its text."""
        return registrations.of_template(current_session(), self.template, self.now)

    @cached_property
    def worst(self) -> Mapping[Carrier, Registration]:
        return worst(self.subjects)

    @property
    def link_variables(self) -> list[str]:
        """The variables whose value may be a link, which nobody can register beforehand."""
        return link_variables(self.template.text, self.template.allowed)

    @property
    def bad(self) -> bool:
        """Whether a carrier would not let it through, or might not."""
        return any(entry.light in (Light.RED, Light.AMBER) for entry in self.worst.values())

    @property
    def lights(self) -> list[tuple[Carrier, RegistrationState]]:
        """The worst state at each carrier, in their usual order."""
        states = {carrier: entry.state for carrier, entry in self.worst.items()}
        return [(carrier, states.get(carrier, RegistrationState.UNKNOWN)) for carrier in REGISTRARS]

    @cached_property
    def numbers(self) -> Mapping[Carrier, int] | None:
        """How many numbers of each carrier get a message; None while there is no segment, or nothing to count for."""
        draft = self.draft
        counted = any(entry.light is not Light.GREEN for entry in self.worst.values()) or draft.left_out_carriers
        plan = self.plan() if counted else None
        return None if plan is None else carrier_counts.count_planned(current_session(), plan)

    @property
    def planned(self) -> int:
        """The numbers of all carriers together."""
        return sum(self.numbers.values()) if self.numbers else 0

    @property
    def lines(self) -> list[CarrierLine]:
        """A line for each carrier, those of virtual operators last."""
        numbers = self.numbers
        return [
            CarrierLine(
                carrier,
                self.worst.get(carrier),
                None if numbers is None else numbers.get(carrier, 0),
                carrier in self.draft.left_out_carriers,
            )
            for carrier in Carrier
        ]

    @cached_property
    def problems(self) -> list[Problem]:
        """What a person should know of each carrier with messages and a red or amber light."""
        refuses = registration_rule.refuses()
        return [
            problem_of(line.registration, line.n, self.planned, refuses=refuses)
            for line in self.lines
            if line.registration is not None and line.n and line.registration.light in (Light.RED, Light.AMBER)
        ]


def look(
    draft: Draft,
    channel: ChannelRow | None,
    template: SmsTemplate | None,
    now: dt.datetime,
    plan: Callable[[], Audience | None],
) -> RegistrationLook | None:
    """Return the look at a draft; None where China's carriers have no say, or no template is chosen."""
    if template is None or not registrations.concerns(channel):
        return None
    return RegistrationLook(draft, template, now, plan)


def refusals(seen: RegistrationLook | None) -> Sequence[Problem]:
    """Return the red lights for which a draft cannot be confirmed: none unless an administrator wants it so."""
    if seen is None or not registration_rule.refuses():
        return ()
    return [problem for problem in seen.problems if not problem.warning]


def problem_of(entry: Registration, n: int, planned: int, *, refuses: bool) -> Problem:
    """Return what to say of a carrier's red or amber light over `n` of `planned` messages."""
    facts = {
        "n": n,
        "planned": planned,
        "carrier": entry.carrier,
        "value": entry.shown,
        "state": entry.state,
        "since": f"{entry.since or entry.at:%Y-%m-%d}",
    }
    return Problem("carrier_registration", "template", facts, warning=entry.light is not Light.RED or not refuses)
