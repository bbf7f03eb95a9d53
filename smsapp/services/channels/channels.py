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
from smsapp.store.contacts.contacts import property_types
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import inbox
from smsapp.store.settings import encryption_keys, settings

log = logging.getLogger(__name__)

ADDRESS = re.compile(r"\s*[a-z]+://", re.IGNORECASE)
MADE = "smsapp.channels.made"


@cache
def kinds() -> dict[str, type[Channel]]:
    """Return every kind of channel there is: each file in smsapp/channels may define one or more."""
    found: dict[str, type[Channel]] = {}
    for module in pkgutil.iter_modules(adapters.__path__):
        members = vars(importlib.import_module(f"{adapters.__name__}.{module.name}")).values()
        for member in members:
            if isinstance(member, type) and issubclass(member, Channel) and not inspect.isabstract(member):
                found[member.kind] = member
    return dict(sorted(found.items()))


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
"""What a person sets of every channel, whatever its kind."""


# Reading


def row(channel_id: int) -> ChannelRow:
    """Return the channel; raises NotFound."""
    found = current_session().get(ChannelRow, channel_id)
    if found is None:
        raise NotFound("channel")
    return found


def choices() -> list[ChannelRow]:
    """Return the channels a campaign may choose: the active ones, by name."""
    return store.active()


def needs_holder(found: ChannelRow) -> bool:
    """Say whether a process of its own holds this channel's connection and alone sends over it."""
    kind = kinds().get(found.kind)
    return kind is not None and kind.holds_connection


def held_elsewhere() -> set[int]:
    """Return the channels, active or not, that ordinary workers leave to the process that holds their connection."""
    return store.of_kinds([name for name, kind in kinds().items() if kind.holds_connection])


def everything() -> list[ChannelRow]:
    """Return all channels, active ones first."""
    return store.everything()


def by_name(name: str) -> ChannelRow:
    """Return the channel of this name; raises NotFound."""
    found = store.by_name(name)
    if found is None:
        raise NotFound("channel")
    return found


def adapter(channel_id: int) -> Channel:
    """Return the channel ready to send, with its secrets; raises NotFound, or Refusal if it cannot be made."""
    return adapter_of(row(channel_id))


def adapter_of(found: ChannelRow) -> Channel:
    """Return the adapter of this row, made once per process and change: callbacks come by the thousand."""
    made: dict[int, tuple[object, Channel]] = current_app.extensions.setdefault(MADE, {})
    made_from = (found.kind, found.settings, found.secrets, found.country, settings().ENCRYPTION_KEY)
    known = made.get(found.id)
    if known is None or known[0] != made_from:
        known = made[found.id] = (made_from, new_adapter(found))
    return known[1]


def new_adapter(found: ChannelRow) -> Channel:
    """Return an adapter of this row that nobody else uses."""
    kind = kinds().get(found.kind)
    if kind is None:
        raise Refusal(Problem("channel_kind_unknown", facts={"kind": found.kind}))
    try:
        made = kind(found.settings | _open(found.secrets), _folder(found.id))
    except ValueError as unread:
        # Saved by another version, or by hand: one channel must not take a page of all of them down.
        log.warning("channel.settings channel=%s setting=%s", found.id, unread)
        raise Refusal(Problem("channel_settings_unread", facts={"name": found.name})) from None
    made.country = country_of(found)
    return made


def _folder(channel_id: int) -> Path:
    """Return the folder of this channel's own files."""
    return settings().INSTANCE_DIR / "channels" / str(channel_id)


def country_of(found: ChannelRow) -> str:
    """Return the region code of the country whose national numbers this channel's provider writes."""
    kind = kinds().get(found.kind)
    return (kind.home if kind else "") or found.country or settings().DEFAULT_REGION


def usual_countries(kind: type[Channel]) -> str:
    """Return the countries a new channel of this kind may write to, as a person would type them; "" = every one."""
    return "" if kind.worldwide else kind.home or settings().DEFAULT_REGION


def callback_url(found: ChannelRow, token: str = "") -> str:
    """Return the address a provider calls back: under PUBLIC_URL, or on this machine if that is not set.

    With the channel's newest token unless another one is named.
    """
    config = settings()
    host = "127.0.0.1" if config.HOST in {"0.0.0.0", "::", ""} else config.HOST  # noqa: S104 - compared, not bound
    return f"{config.PUBLIC_URL or f'http://{host}:{config.PORT}'}/callbacks/{token or found.callback_token}"


def kept_secrets(found: ChannelRow) -> frozenset[str]:
    """Return the names of the secrets that are set; never their values."""
    return frozenset(name for name, value in _open(found.secrets).items() if value)


def tells_balance(found: ChannelRow) -> bool:
    """Say whether this account can be asked what is left on it."""
    try:
        return adapter_of(found).tells_balance
    except Refusal:
        return False


def needs_template(found: ChannelRow) -> bool:
    """Say whether this account takes no free text, only templates that its provider has approved."""
    try:
        return adapter_of(found).needs_template
    except Refusal:
        return False


def phone_choices() -> list[str]:
    """Return the properties that may hold a phone: every string property, the preset one first."""
    found = sorted(name for name, kind in property_types().items() if kind is Type.STRING and name != PHONE)
    return [PHONE, *found]


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
        found: dict[str, str] = json.loads(_fernet().decrypt(token))
    except InvalidToken:
        raise Refusal(Problem("channel_secrets_locked")) from None
    return found


def rotate(actor: Actor, now: dt.datetime) -> int:
    """Encrypt every channel's secrets with the newest key; return how many channels have some."""
    with writing() as session:
        found = [one for one in store.everything() if one.secrets]
        for one in found:
            one.secrets = _fernet().rotate(one.secrets)
        audit_log.log_action(session, actor, "rotate", "channel", "*", now, channels=len(found))
    return len(found)


# Changing


@dataclass(frozen=True)
class Wanted:
    """A channel as a person wants it. `values` holds one text per setting of the kind; an empty secret is kept."""

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


def create(kind: str, wanted: Wanted, actor: Actor, now: dt.datetime) -> int:
    """Add a channel and return its id; raises Refusal with a problem per field."""
    if kind not in kinds():
        raise Refusal(Problem("channel_kind_unknown", facts={"kind": kind}))
    with writing() as session:
        plain, secret = _checked(session, kinds()[kind], wanted, None)
        phones_known = _reads(session, wanted.phone_property)
        made = ChannelRow(
            kind=kind, callback_token=secrets.token_urlsafe(32), settings=plain, created_at=now, updated_at=now
        )
        _write(made, wanted)
        made.secrets = _seal(secret) if secret else b""
        session.add(made)
        session.flush()
        if not phones_known:
            contacts.note_phone_property(session, made.phone_property)
        audit_log.log_action(session, actor, "create", "channel", made.id, now, name=made.name, kind=kind)
    return made.id


def edit(channel_id: int, wanted: Wanted, actor: Actor, now: dt.datetime) -> None:
    """Change a channel; secrets left empty stay as they are. The trail names what changed, never the values."""
    with writing() as session:
        found = locked(session, channel_id)
        kind = kinds().get(found.kind)
        if kind is None:
            raise Refusal(Problem("channel_kind_unknown", facts={"kind": found.kind}))
        before, old = _open(found.secrets), _facts(found)
        plain, secret = _checked(session, kind, wanted, found)
        phones_known = _reads(session, wanted.phone_property)
        changed = sorted(name for name in plain | found.settings if plain.get(name) != found.settings.get(name))
        changed += sorted(name for name in secret if secret[name] != before.get(name))
        found.settings = plain
        _write(found, wanted)
        if secret != before:
            found.secrets = _seal(secret)
        changed += [name for name, value in _facts(found).items() if value != old[name]]
        if not changed:
            return
        found.updated_at = now
        found.checked_at, found.check_result = None, ""
        paces.forget(session, channel_id)
        if not phones_known:
            contacts.note_phone_property(session, found.phone_property)
        contacts.note_left_property(session, str(old["phone_property"]))
        audit_log.log_action(session, actor, "edit", "channel", channel_id, now, name=found.name, changed=changed)


def set_active(channel_id: int, active: bool, actor: Actor, now: dt.datetime) -> None:
    """Let campaigns choose this channel, or no longer; runs of an inactive channel are held."""
    with writing() as session:
        found = locked(session, channel_id)
        if found.active != active:
            found.active, found.updated_at = active, now
            audit_log.log_action(
                session, actor, "activate" if active else "deactivate", "channel", channel_id, now, name=found.name
            )


def delete(channel_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove a channel nothing was ever done with; raises Refusal if anything points at it."""
    with writing() as session:
        found = locked(session, channel_id)
        if store.is_used(session, channel_id):
            raise Refusal(Problem("channel_used"))
        audit_log.log_action(session, actor, "delete", "channel", channel_id, now, name=found.name, kind=found.kind)
        channel_health.forget_channel(session, channel_id)
        paces.forget(session, channel_id)
        session.delete(found)
        session.flush()
        contacts.note_left_property(session, found.phone_property)
    # On SQLite another channel may get its number, and must not read what was said to this one.
    with inbox.writing() as callbacks:
        inbox.forget_unread(callbacks, channel_id)


def may_be_deleted(channel_id: int) -> bool:
    """Say whether nothing was ever done with this channel."""
    return not store.is_used(current_session(), channel_id)


def locked(session: Session, channel_id: int) -> ChannelRow:
    """Return the channel, for this transaction alone; raises NotFound."""
    found = session.get(ChannelRow, channel_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("channel")
    return found


def _reads(session: Session, name: str) -> bool:
    """Say whether the numbers in this property are read already: the preset one's always are."""
    return name == PHONE or store.reads_property(session, name)


def _facts(found: ChannelRow) -> dict[str, object]:
    return {name: getattr(found, name) for name in COMMON}


def _write(found: ChannelRow, wanted: Wanted) -> None:
    found.name = wanted.name.strip()
    found.phone_property = wanted.phone_property
    found.trusted_numbers = wanted.trusted_numbers
    found.country = wanted.country.strip().upper()
    typed = usual_countries(kinds()[found.kind]) if wanted.countries is None else wanted.countries
    found.countries = read_countries(typed)[0]
    found.number_classes = sorted(wanted.number_classes)
    found.rate = wanted.rate
    found.quiet_from, found.quiet_until = wanted.quiet_from, wanted.quiet_until
    found.price, found.currency = wanted.price, wanted.currency.strip().upper()
    found.balance_low = wanted.balance_low


def _checked(
    session: Session, kind: type[Channel], wanted: Wanted, row: ChannelRow | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the plain settings and the secrets to keep; raises Refusal with everything that is wrong.

    Secrets are kept for the hosts they were typed for: whoever names another one types them again.
    """
    problems = _common_problems(session, wanted, row.id if row else None)
    values: dict[str, str] = {}
    before = _open(row.secrets) if row else {}
    known = {one.name: one.default for one in kind.settings} | dict(row.settings if row else {})
    moved = sorted(_hosts(wanted.values) - _hosts(known))
    for one in kind.settings:
        given = wanted.values.get(one.name, "").strip("\r\n\t" if one.keeps_spaces else None)
        if one.secret and not given:
            given = before.get(one.name, "")
            if given and moved:
                problems.append(Problem("secret_again", one.name, {"host": ", ".join(moved)}))
        values[one.name] = given
        problem = one.problem(given) or _unencrypted(kind, one, given, wanted.values)
        if problem:
            problems.append(problem)
    wrong = {problem.place for problem in problems if problem.code != "secret_again"}
    problems += [problem for problem in kind.check(values) if problem.place not in wrong]
    if problems:
        raise Refusal(*problems)
    kind(values, _folder(row.id if row else 0))  # what is saved is what the code that uses it can read
    hidden = {one.name for one in kind.settings if one.secret}
    plain = {name: value for name, value in values.items() if name not in hidden}
    return plain, {name: values[name] for name in sorted(hidden) if values[name]}


def _hosts(values: Mapping[str, str]) -> set[str]:
    """Return the hosts (with scheme and port) of those settings that are addresses."""
    found = (urlsplit(value.strip().lower()) for value in values.values() if ADDRESS.match(value))
    return {f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" for parts in found}


def _common_problems(session: Session, wanted: Wanted, channel_id: int | None) -> list[Problem]:
    problems = []
    name = wanted.name.strip()
    same = store.by_name(name)
    if not name:
        problems.append(Problem("channel_name_missing", "name"))
    elif len(name) > 120:
        problems.append(Problem("channel_name_long", "name"))
    elif same is not None and same.id != channel_id:
        problems.append(Problem("channel_name_taken", "name"))
    if property_types().get(wanted.phone_property) is not Type.STRING:
        problems.append(Problem("channel_phone_property", "phone_property"))
    if wanted.country.strip() and wanted.country.strip().upper() not in REGIONS:
        problems.append(Problem("channel_country", "country"))
    if unknown := read_countries(wanted.countries or "")[1]:
        problems.append(Problem("channel_countries", "countries", {"words": " ".join(unknown)}))
    if not set(wanted.number_classes) <= set(SPECIAL):
        problems.append(Problem("setting_choice", "number_classes"))
    if wanted.rate is not None and not 1 <= wanted.rate <= 100_000:
        problems.append(Problem("channel_rate", "rate"))
    problems += [
        Problem("channel_quiet_time", place)
        for place, value in (("quiet_from", wanted.quiet_from), ("quiet_until", wanted.quiet_until))
        if not _is_time(value)
    ]
    if wanted.price is not None and not (wanted.price.is_finite() and 0 <= wanted.price < 100_000):
        problems.append(Problem("channel_price", "price"))
    if wanted.balance_low is not None and not (wanted.balance_low.is_finite() and 0 <= wanted.balance_low < 10**12):
        problems.append(Problem("channel_balance_low", "balance_low"))
    if len(wanted.currency.strip()) != 3 or not wanted.currency.strip().isalpha():
        problems.append(Problem("channel_currency", "currency"))
    return problems


def _is_time(text: str) -> bool:
    try:
        return dt.time.fromisoformat(text).strftime("%H:%M") == text
    except ValueError:
        return False


def _unencrypted(kind: type[Channel], one: Setting, given: str, values: Mapping[str, str]) -> Problem | None:
    """Return the problem of an address that would be called without encryption though it is none of our own hosts."""
    if not ADDRESS.match(given) or not kind.calls_address(one.name, values):
        return None
    try:
        parts = urlsplit(given.strip())
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme.lower() not in kind.unencrypted_schemes or values.get(kind.plain_setting) == "1":
        return None
    address = literal(host)
    if Guard(settings().ALLOWED_PRIVATE_HOSTS).is_named(host) or (address is not None and not address.is_global):
        return None
    return Problem("address_unencrypted", one.name, {"host": host})
