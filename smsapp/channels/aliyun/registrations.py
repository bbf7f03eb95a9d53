"""What the carriers say of a signature (GetSmsSign, SignIspRegisterDetailList)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smsapp.channels.types import ProviderRegistration
from smsapp.domain.carrier import CHINA
from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.registration import RegistrationState

CARRIERS = {"mobile": Carrier.MOBILE, "unicom": Carrier.UNICOM, "telecom": Carrier.TELECOM}
STATES = {
    3: RegistrationState.REGISTERED,
    1: RegistrationState.TO_VERIFY,
    -1: RegistrationState.UNDER_WAY,
    2: RegistrationState.LAPSED,
    0: RegistrationState.FAILED,
    -2: RegistrationState.UNREGISTERED,
}
"""Anything else is unknown."""


def read_registrations(signature: str, fields: Mapping[str, Any]) -> list[ProviderRegistration]:
    """Return one for each carrier that the answer names; a carrier without an entry is unknown."""
    details = fields.get("SignIspRegisterDetailList")
    items = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    by_carrier = {CARRIERS[code]: item for item in items if (code := str(item.get("OperatorCode"))) in CARRIERS}
    return [_read(signature, carrier, by_carrier.get(carrier, {})) for carrier in CARRIERS.values()]


def _read(signature: str, carrier: Carrier, item: Mapping[str, Any]) -> ProviderRegistration:
    raw = item.get("RegisterStatus")
    is_number = isinstance(raw, int) and not isinstance(raw, bool)
    state = STATES.get(int(raw), RegistrationState.UNKNOWN) if is_number and raw is not None else None
    reasons = item.get("RegisterStatusReasons")
    codes = [
        str(reason.get("ReasonCode"))
        for reason in (reasons if isinstance(reasons, list) else [])
        if isinstance(reason, dict) and reason.get("ReasonCode")
    ]
    return ProviderRegistration(
        signature, carrier, state or RegistrationState.UNKNOWN, tuple(codes), _moment(item.get("OperatorCompleteTime"))
    )


def _moment(raw: Any) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(str(raw), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        return None
