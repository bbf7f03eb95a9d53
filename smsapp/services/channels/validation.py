"""The checks of a channel's fields as entered."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from smsapp.channels._setting import Setting
from smsapp.channels.contract import Channel
from smsapp.channels.http import Guard, literal
from smsapp.domain import number_limits
from smsapp.domain.contact import PHONE, Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.numbering import REGIONS, SPECIAL, read_countries
from smsapp.domain.scope import Scope
from smsapp.services.channels import channel_secrets, registry
from smsapp.store.channels import channels as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.property_catalogue import property_types
from smsapp.store.settings import settings

ADDRESS = re.compile(r"\s*[a-z]+://", re.IGNORECASE)


@dataclass(frozen=True)
class ChannelFields:
    """A channel's fields as entered. `values`: a text per setting of the kind; an empty secret keeps its old value."""

    name: str
    values: Mapping[str, str]
    phone_property: str = PHONE
    trusted_numbers: bool = False
    """Write only to numbers that a server key, a file or a person has entered."""
    country: str = ""
    """Region code whose national numbers the provider writes; "" = DEFAULT_REGION."""
    countries: str | None = None
    """Countries it may write to, as a person types them ("CN HK +1"); "" = every country, None = the kind's own."""
    number_limits: str = ""
    """Messages a day by prefix, as a person types them ("+86: unlimited, +44: 100, others: 0"); "" = no limits."""
    number_classes: Sequence[str] = ()
    rate: int | None = None
    quiet_from: str = "21:00"
    quiet_until: str = "08:00"
    price: Decimal | None = None
    currency: str = "CNY"
    balance_low: Decimal | None = None
    refusal_scope: str = Scope.EVERYTHING
    """What a reply that opts out refuses."""


def checked(
    session: Session, kind: type[Channel], fields: ChannelFields, row: ChannelRow | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the plain settings and the secrets to store; raises Refusal with everything that is wrong.

    Old secrets are valid only for the hosts they were typed for: a new host needs them typed again.
    """
    problems = _common_problems(session, fields, row.id if row else None)
    values: dict[str, str] = {}
    old_secrets = channel_secrets.unseal(row.secrets) if row else {}
    old_values = {setting.name: setting.default for setting in kind.settings} | dict(row.settings if row else {})
    new_hosts = sorted(_hosts(fields.values) - _hosts(old_values))
    for setting in kind.settings:
        value = fields.values.get(setting.name, "").strip("\r\n\t" if setting.keeps_spaces else None)
        if setting.secret and not value:
            value = old_secrets.get(setting.name, "")
            if value and new_hosts:
                problems.append(Problem("secret_again", setting.name, {"host": ", ".join(new_hosts)}))
        values[setting.name] = value
        problem = setting.problem(value) or _unencrypted(kind, setting, value, fields.values)
        if problem:
            problems.append(problem)
    wrong = {problem.place for problem in problems if problem.code != "secret_again"}
    problems += [problem for problem in kind.check(values) if problem.place not in wrong]
    if problems:
        raise Refusal(*problems)
    kind(values, registry.folder(row.id if row else 0))  # the adapter must be able to read what is saved
    hidden = {setting.name for setting in kind.settings if setting.secret}
    plain = {name: value for name, value in values.items() if name not in hidden}
    return plain, {name: values[name] for name in sorted(hidden) if values[name]}


def _hosts(values: Mapping[str, str]) -> set[str]:
    """Return the hosts (with scheme and port) of the settings that are addresses."""
    addresses = (urlsplit(value.strip().lower()) for value in values.values() if ADDRESS.match(value))
    return {f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" for parts in addresses}


def _number_problems(fields: ChannelFields) -> list[Problem]:
    """Return what is wrong with the numbers that the channel may write to, and with its own country."""
    problems = []
    if fields.country.strip() and fields.country.strip().upper() not in REGIONS:
        problems.append(Problem("channel_country", "country"))
    if unknown := read_countries(fields.countries or "")[1]:
        problems.append(Problem("channel_countries", "countries", {"words": " ".join(unknown)}))
    limits, wrong = number_limits.read(fields.number_limits)
    if wrong or len(limits) > number_limits.MOST_LIMITS:
        facts = {"words": ", ".join(wrong)[:200], "most": number_limits.MOST_LIMITS}
        problems.append(Problem("channel_number_limits", "number_limits", facts))
    if not set(fields.number_classes) <= set(SPECIAL):
        problems.append(Problem("setting_choice", "number_classes"))
    return problems


def _common_problems(session: Session, fields: ChannelFields, channel_id: int | None) -> list[Problem]:
    problems = []
    name = fields.name.strip()
    same = store.by_name(session, name)
    if not name:
        problems.append(Problem("channel_name_missing", "name"))
    elif len(name) > 120:
        problems.append(Problem("channel_name_long", "name"))
    elif same is not None and same.id != channel_id:
        problems.append(Problem("channel_name_taken", "name"))
    if property_types(session).get(fields.phone_property) is not Type.STRING:
        problems.append(Problem("channel_phone_property", "phone_property"))
    problems += _number_problems(fields)
    if fields.refusal_scope not in set(Scope):
        problems.append(Problem("setting_choice", "refusal_scope"))
    if fields.rate is not None and not 1 <= fields.rate <= 100_000:
        problems.append(Problem("channel_rate", "rate"))
    problems += [
        Problem("channel_quiet_time", place)
        for place, value in (("quiet_from", fields.quiet_from), ("quiet_until", fields.quiet_until))
        if not _is_time(value)
    ]
    if fields.price is not None and not (fields.price.is_finite() and 0 <= fields.price < 100_000):
        problems.append(Problem("channel_price", "price"))
    if fields.balance_low is not None and not (fields.balance_low.is_finite() and 0 <= fields.balance_low < 10**12):
        problems.append(Problem("channel_balance_low", "balance_low"))
    if len(fields.currency.strip()) != 3 or not fields.currency.strip().isalpha():
        problems.append(Problem("channel_currency", "currency"))
    return problems


def _is_time(text: str) -> bool:
    try:
        return dt.time.fromisoformat(text).strftime("%H:%M") == text
    except ValueError:
        return False


def _unencrypted(kind: type[Channel], setting: Setting, value: str, values: Mapping[str, str]) -> Problem | None:
    """Return a problem if the address is called without encryption and is neither private nor an allowed host."""
    if not ADDRESS.match(value) or not kind.calls_address(setting.name, values):
        return None
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme.lower() not in kind.unencrypted_schemes or values.get(kind.plain_setting) == "1":
        return None
    address = literal(host)
    if Guard(settings().ALLOWED_PRIVATE_HOSTS).is_named(host) or (address is not None and not address.is_global):
        return None
    return Problem("address_unencrypted", setting.name, {"host": host})
