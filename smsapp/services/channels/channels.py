"""Channels: configured accounts at providers. The only place that sees their secrets."""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import json
import logging
import pkgutil
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app
from sqlalchemy.orm import Session

from smsapp import channels as adapters
from smsapp.channels._setting import Setting
from smsapp.channels.contract import Channel
from smsapp.channels.http import Guard, literal
from smsapp.domain.contact import PHONE, Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.numbering import REGIONS, SPECIAL, read_countries
from smsapp.services.contacts import contacts
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels import channel_health, paces
from smsapp.store.channels import channels as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.property_catalogue import property_types
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.receipts import inbox
from smsapp.store.settings import encryption_keys, settings

log = logging.getLogger(__name__)

ADDRESS = re.compile(r"\s*[a-z]+://", re.IGNORECASE)
MADE = "smsapp.channels.made"


@cache
def kinds() -> dict[str, type[Channel]]:
    """Return every kind of channel by its name: each file in smsapp/channels may define one or more."""
    classes: dict[str, type[Channel]] = {}
    for module in pkgutil.iter_modules(adapters.__path__):
        members = vars(importlib.import_module(f"{adapters.__name__}.{module.name}")).values()
        for member in members:
            if isinstance(member, type) and issubclass(member, Channel) and not inspect.isabstract(member):
                classes[member.kind] = member
    return dict(sorted(classes.items()))


COMMON = (
    "name",
    "phone_property",
    "trusted_numbers",
    "country",
    "countries",
    "number_classes",
    "rate",
    "quiet_from",
    "quiet_until",
    "price",
    "currency",
    "balance_low",
)
"""The settings of every channel, whatever its kind."""


# Reading


def row(channel_id: int) -> ChannelRow:
    """Return the channel; raises NotFound."""
    channel = current_session().get(ChannelRow, channel_id)
    if channel is None:
        raise NotFound("channel")
    return channel


def choices() -> list[ChannelRow]:
    """Return the channels a campaign may choose: the active ones, by name."""
    return store.active(current_session())


def needs_holder(channel: ChannelRow) -> bool:
    """Return whether one process holds this channel's connection and is the only one that sends over it."""
    kind = kinds().get(channel.kind)
    return kind is not None and kind.holds_connection


def held_elsewhere() -> set[int]:
    """Return the channels, active or not, whose connection a process of its own holds: ordinary workers skip them."""
    return store.of_kinds(current_session(), [name for name, kind in kinds().items() if kind.holds_connection])


def everything() -> list[ChannelRow]:
    """Return all channels, active ones first."""
    return store.all_channels(current_session())


def by_name(name: str) -> ChannelRow:
    """Return the channel of this name; raises NotFound."""
    channel = store.by_name(current_session(), name)
    if channel is None:
        raise NotFound("channel")
    return channel


def adapter(channel_id: int) -> Channel:
    """Return the channel's adapter with its secrets; raises NotFound, or Refusal if it cannot be made."""
    return adapter_of(row(channel_id))


def adapter_of(channel: ChannelRow) -> Channel:
    """Return the adapter of this row, made once per process and change of the row: there are thousands of callbacks."""
    adapters: dict[int, tuple[object, Channel]] = current_app.extensions.setdefault(MADE, {})
    inputs = (channel.kind, channel.settings, channel.secrets, channel.country, settings().ENCRYPTION_KEY)
    entry = adapters.get(channel.id)
    if entry is None or entry[0] != inputs:
        entry = adapters[channel.id] = (inputs, new_adapter(channel))
    return entry[1]


def new_adapter(channel: ChannelRow) -> Channel:
    """Return a new adapter of this row; raises Refusal if it cannot be made."""
    kind = kinds().get(channel.kind)
    if kind is None:
        raise Refusal(Problem("channel_kind_unknown", facts={"kind": channel.kind}))
    try:
        adapter = kind(channel.settings | _open(channel.secrets), _folder(channel.id))
    except ValueError as error:
        # Saved by another version, or by hand: one channel must not break a page that lists all of them.
        log.warning("channel.settings channel=%s setting=%s", channel.id, error)
        raise Refusal(Problem("channel_settings_unread", facts={"name": channel.name})) from None
    adapter.country = country_of(channel)
    return adapter


def _folder(channel_id: int) -> Path:
    """Return the folder of this channel's own files."""
    return settings().INSTANCE_DIR / "channels" / str(channel_id)


def country_of(channel: ChannelRow) -> str:
    """Return the region code of the country whose national numbers this channel's provider writes."""
    kind = kinds().get(channel.kind)
    return (kind.home if kind else "") or channel.country or settings().DEFAULT_REGION


def usual_countries(kind: type[Channel]) -> str:
    """Return the countries a new channel of this kind may write to, as a person would type them; "" = every country."""
    return "" if kind.worldwide else kind.home or settings().DEFAULT_REGION


def callback_url(channel: ChannelRow, token: str = "") -> str:
    """Return the address a provider calls back: under PUBLIC_URL, or on this machine if that is not set.

    It ends in `token`, by default the channel's newest one.
    """
    config = settings()
    host = "127.0.0.1" if config.HOST in {"0.0.0.0", "::", ""} else config.HOST  # noqa: S104 - compared, not bound
    return f"{config.PUBLIC_URL or f'http://{host}:{config.PORT}'}/callbacks/{token or channel.callback_token}"


def kept_secrets(channel: ChannelRow) -> frozenset[str]:
    """Return the names of the secrets that are set; never their values."""
    return frozenset(name for name, value in _open(channel.secrets).items() if value)


def tells_balance(channel: ChannelRow) -> bool:
    """Return whether this account's balance can be queried."""
    try:
        return adapter_of(channel).tells_balance
    except Refusal:
        return False


def needs_template(channel: ChannelRow) -> bool:
    """Return whether this account accepts only templates that its provider has approved, no free text."""
    try:
        return adapter_of(channel).needs_template
    except Refusal:
        return False


def phone_choices() -> list[str]:
    """Return the properties that may hold a phone: every string property, the preset one first."""
    names = sorted(
        name for name, kind in property_types(current_session()).items() if kind is Type.STRING and name != PHONE
    )
    return [PHONE, *names]


# Secrets


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in encryption_keys(settings())])


def _seal(values: Mapping[str, str]) -> bytes:
    return _fernet().encrypt(json.dumps(dict(values)).encode())


def _open(token: bytes) -> dict[str, str]:
    """Return the secrets; raises Refusal if none of the keys fits."""
    if not token:
        return {}
    try:
        values: dict[str, str] = json.loads(_fernet().decrypt(token))
    except InvalidToken:
        raise Refusal(Problem("channel_secrets_locked")) from None
    return values


def rotate(actor: Actor, now: dt.datetime) -> int:
    """Encrypt every channel's secrets with the newest key; return how many channels have some."""
    with writing() as session:
        with_secrets = [channel for channel in store.all_channels(session) if channel.secrets]
        for channel in with_secrets:
            channel.secrets = _fernet().rotate(channel.secrets)
        audit_log.log_action(session, actor, "rotate", "channel", "*", now, channels=len(with_secrets))
    return len(with_secrets)


# Changing


@dataclass(frozen=True)
class Wanted:
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
    number_classes: Sequence[str] = ()
    rate: int | None = None
    quiet_from: str = "21:00"
    quiet_until: str = "08:00"
    price: Decimal | None = None
    currency: str = "CNY"
    balance_low: Decimal | None = None


def create(kind: str, fields: Wanted, actor: Actor, now: dt.datetime) -> int:
    """Add a channel and return its id; raises Refusal with a problem per field."""
    if kind not in kinds():
        raise Refusal(Problem("channel_kind_unknown", facts={"kind": kind}))
    with writing() as session:
        plain, secret = _checked(session, kinds()[kind], fields, None)
        phones_known = _reads(session, fields.phone_property)
        channel = ChannelRow(
            kind=kind, callback_token=secrets.token_urlsafe(32), settings=plain, created_at=now, updated_at=now
        )
        _write(channel, fields)
        channel.secrets = _seal(secret) if secret else b""
        session.add(channel)
        session.flush()
        if not phones_known:
            contacts.note_phone_property(session, channel.phone_property)
        audit_log.log_action(session, actor, "create", "channel", channel.id, now, name=channel.name, kind=kind)
    return channel.id


def edit(channel_id: int, fields: Wanted, actor: Actor, now: dt.datetime) -> None:
    """Change a channel; empty secrets keep their old values. The audit log names what changed, never the values."""
    with writing() as session:
        channel = locked(session, channel_id)
        kind = kinds().get(channel.kind)
        if kind is None:
            raise Refusal(Problem("channel_kind_unknown", facts={"kind": channel.kind}))
        old_secrets, old_facts = _open(channel.secrets), _facts(channel)
        plain, secret = _checked(session, kind, fields, channel)
        phones_known = _reads(session, fields.phone_property)
        changed = sorted(name for name in plain | channel.settings if plain.get(name) != channel.settings.get(name))
        changed += sorted(name for name in secret if secret[name] != old_secrets.get(name))
        channel.settings = plain
        _write(channel, fields)
        if secret != old_secrets:
            channel.secrets = _seal(secret)
        changed += [name for name, value in _facts(channel).items() if value != old_facts[name]]
        if not changed:
            return
        channel.updated_at = now
        channel.checked_at, channel.check_result = None, ""
        paces.delete(session, channel_id)
        if not phones_known:
            contacts.note_phone_property(session, channel.phone_property)
        contacts.note_left_property(session, str(old_facts["phone_property"]))
        audit_log.log_action(session, actor, "edit", "channel", channel_id, now, name=channel.name, changed=changed)


def set_active(channel_id: int, active: bool, actor: Actor, now: dt.datetime) -> None:
    """Let campaigns choose this channel, or no longer; runs of an inactive channel are held."""
    with writing() as session:
        channel = locked(session, channel_id)
        if channel.active != active:
            channel.active, channel.updated_at = active, now
            audit_log.log_action(
                session, actor, "activate" if active else "deactivate", "channel", channel_id, now, name=channel.name
            )


def delete(channel_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove a channel that was never used; raises Refusal if anything refers to it."""
    with writing() as session:
        channel = locked(session, channel_id)
        if store.is_used(session, channel_id):
            raise Refusal(Problem("channel_used"))
        audit_log.log_action(session, actor, "delete", "channel", channel_id, now, name=channel.name, kind=channel.kind)
        channel_health.delete_of_channel(session, channel_id)
        paces.delete(session, channel_id)
        session.delete(channel)
        session.flush()
        contacts.note_left_property(session, channel.phone_property)
    # On SQLite another channel may get its id, and must not read this one's callbacks.
    with inbox.writing() as callbacks:
        inbox.delete_unread(callbacks, channel_id)


def may_be_deleted(channel_id: int) -> bool:
    """Return whether this channel was never used."""
    return not store.is_used(current_session(), channel_id)


def locked(session: Session, channel_id: int) -> ChannelRow:
    """Return the channel, its row locked by this transaction; raises NotFound."""
    channel = lock_row(session, ChannelRow, channel_id)
    if channel is None:
        raise NotFound("channel")
    return channel


def _reads(session: Session, name: str) -> bool:
    """Return whether the numbers of this property are normalised already; those of the preset one always are."""
    return name == PHONE or store.reads_property(session, name)


def _facts(channel: ChannelRow) -> dict[str, object]:
    return {name: getattr(channel, name) for name in COMMON}


def _write(channel: ChannelRow, fields: Wanted) -> None:
    channel.name = fields.name.strip()
    channel.phone_property = fields.phone_property
    channel.trusted_numbers = fields.trusted_numbers
    channel.country = fields.country.strip().upper()
    countries = usual_countries(kinds()[channel.kind]) if fields.countries is None else fields.countries
    channel.countries = read_countries(countries)[0]
    channel.number_classes = sorted(fields.number_classes)
    channel.rate = fields.rate
    channel.quiet_from, channel.quiet_until = fields.quiet_from, fields.quiet_until
    channel.price, channel.currency = fields.price, fields.currency.strip().upper()
    channel.balance_low = fields.balance_low


def _checked(
    session: Session, kind: type[Channel], fields: Wanted, row: ChannelRow | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the plain settings and the secrets to store; raises Refusal with everything that is wrong.

    Old secrets are valid only for the hosts they were typed for: a new host needs them typed again.
    """
    problems = _common_problems(session, fields, row.id if row else None)
    values: dict[str, str] = {}
    old_secrets = _open(row.secrets) if row else {}
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
    kind(values, _folder(row.id if row else 0))  # the adapter must be able to read what is saved
    hidden = {setting.name for setting in kind.settings if setting.secret}
    plain = {name: value for name, value in values.items() if name not in hidden}
    return plain, {name: values[name] for name in sorted(hidden) if values[name]}


def _hosts(values: Mapping[str, str]) -> set[str]:
    """Return the hosts (with scheme and port) of the settings that are addresses."""
    addresses = (urlsplit(value.strip().lower()) for value in values.values() if ADDRESS.match(value))
    return {f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" for parts in addresses}


def _common_problems(session: Session, fields: Wanted, channel_id: int | None) -> list[Problem]:
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
    if fields.country.strip() and fields.country.strip().upper() not in REGIONS:
        problems.append(Problem("channel_country", "country"))
    if unknown := read_countries(fields.countries or "")[1]:
        problems.append(Problem("channel_countries", "countries", {"words": " ".join(unknown)}))
    if not set(fields.number_classes) <= set(SPECIAL):
        problems.append(Problem("setting_choice", "number_classes"))
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
