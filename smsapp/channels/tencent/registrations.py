"""What the list of signatures (DescribeSmsSignList) says of their registration: for all carriers alike."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from smsapp.channels.types import ProviderRegistration
from smsapp.domain.carrier_prefixes import REGISTRARS
from smsapp.domain.registration import SAID_USABLE, RegistrationState

STATES = {
    0: (RegistrationState.UNKNOWN, SAID_USABLE),
    1: (RegistrationState.UNDER_WAY, "AUDITING"),
    2: (RegistrationState.UNDER_WAY, "REGISTERING"),
    -1: (RegistrationState.UNREGISTERED, "NON_REGISTER"),
}
"""StatusCode -> state and reason. "Usable" says nothing of a single carrier, so it is no green light."""
QUALIFICATIONS = {
    0: "QUALIFICATION_PENDING",
    2: "QUALIFICATION_ERROR",
    3: "BINDING_INCOMPLETE_QUA",
    4: "QUALIFICATION_PENDING",
    5: "QUALIFICATION_ERROR",
}
"""QualificationStatusCode -> reason; 1 = the papers are accepted."""


def read_registrations(item: Any, signatures: Collection[str]) -> list[ProviderRegistration]:
    """Return one for each carrier, if this signature of the list is for China and is among the wanted ones."""
    if not isinstance(item, dict) or item.get("International") or item.get("SignName") not in signatures:
        return []
    state, reason = STATES.get(item.get("StatusCode", ""), (RegistrationState.UNKNOWN, ""))
    papers = QUALIFICATIONS.get(item.get("QualificationStatusCode", ""), "")
    reasons = tuple(code for code in (reason, papers) if code)
    return [ProviderRegistration(item["SignName"], carrier, state, reasons) for carrier in REGISTRARS]
