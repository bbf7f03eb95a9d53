"""Accounts at providers: the configured channels, read, added, changed and removed."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain import number_limits
from smsapp.domain.api_key import SIMULATOR, RealChannelRefused
from smsapp.domain.contact import PHONE, Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.numbering import read_countries
from smsapp.domain.rights import Right
from smsapp.services.channels import channel_secrets, phone_properties, registry, validation
from smsapp.services.channels.validation import ChannelFields
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels import channel_health, paces
from smsapp.store.channels import channels as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.property_catalogue import property_types
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.receipts import inbox
from smsapp.store.settings import settings

COMMON = (
    "name",
    "phone_property",
    "trusted_numbers",
    "country",
    "countries",
    "number_limits",
    "number_classes",
    "rate",
    "quiet_from",
    "quiet_until",
    "price",
    "currency",
    "balance_low",
    "refusal_scope",
)
"""The settings of every channel, whatever its kind."""


def row(channel_id: int) -> ChannelRow:
    """Return the channel; raises NotFound."""
    channel = current_session().get(ChannelRow, channel_id)
    if channel is None:
        raise NotFound("channel")
    return channel


def choices() -> list[ChannelRow]:
    """Return the channels a campaign may choose: the active ones, by name."""
    return store.active(current_session())


def held_elsewhere() -> set[int]:
    """Return the channels, active or not, whose connection a process of its own holds: ordinary workers skip them."""
    return store.of_kinds(current_session(), [name for name, kind in registry.kinds().items() if kind.holds_connection])


def everything() -> list[ChannelRow]:
    """Return all channels, active ones first."""
    return store.all_channels(current_session())


def names() -> dict[int, str]:
    """Return {id: name} of all channels, active ones first."""
    return store.names(current_session())


def refuse_real(channel_ids: Iterable[int | None]) -> None:
    """Raise RealChannelRefused if one of the channels is no simulator: for test keys."""
    kinds = {row.id: row.kind for row in everything()}
    if any(kinds.get(id_, SIMULATOR) != SIMULATOR for id_ in channel_ids if id_ is not None):
        raise RealChannelRefused


def by_name(name: str) -> ChannelRow:
    """Return the channel of this name; raises NotFound."""
    channel = store.by_name(current_session(), name)
    if channel is None:
        raise NotFound("channel")
    return channel


def adapter(channel_id: int) -> Channel:
    """Return the channel's adapter with its secrets; raises NotFound, or Refusal if it cannot be made."""
    return registry.adapter_of(row(channel_id))


def callback_url(channel: ChannelRow, token: str = "") -> str:
    """Return the address a provider calls back: under PUBLIC_URL, or on this machine if that is not set.

    It ends in `token`, by default the channel's newest one.
    """
    config = settings()
    host = "127.0.0.1" if config.HOST in {"0.0.0.0", "::", ""} else config.HOST  # noqa: S104 # nosec B104 - compared, not bound
    return f"{config.PUBLIC_URL or f'http://{host}:{config.PORT}'}/callbacks/{token or channel.callback_token}"


def phone_choices() -> list[str]:
    """Return the properties that may hold a phone: every string property, the preset one first."""
    names = sorted(
        name for name, kind in property_types(current_session()).items() if kind is Type.STRING and name != PHONE
    )
    return [PHONE, *names]


def create(kind: str, fields: ChannelFields, actor: Actor, now: dt.datetime) -> int:
    """Add a channel and return its id; raises Refusal with a problem per field."""
    require(actor, Right.CHANNELS_WRITE)
    if kind not in registry.kinds():
        raise Refusal(Problem("channel_kind_unknown", facts={"kind": kind}))
    with writing() as session:
        plain, secret = validation.checked(session, registry.kinds()[kind], fields, None)
        phones_known = _reads(session, fields.phone_property)
        channel = ChannelRow(
            kind=kind, callback_token=secrets.token_urlsafe(32), settings=plain, created_at=now, updated_at=now
        )
        _write(channel, fields)
        channel.secrets = channel_secrets.seal(secret) if secret else b""
        session.add(channel)
        session.flush()
        if not phones_known:
            phone_properties.note_phone_property(session, channel.phone_property)
        audit_log.log_action(session, actor, "create", "channel", channel.id, now, name=channel.name, kind=kind)
    return channel.id


def edit(channel_id: int, fields: ChannelFields, actor: Actor, now: dt.datetime) -> None:
    """Change a channel; empty secrets keep their old values. The audit log names what changed, never the values."""
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        channel = locked(session, channel_id)
        kind = registry.kinds().get(channel.kind)
        if kind is None:
            raise Refusal(Problem("channel_kind_unknown", facts={"kind": channel.kind}))
        old_secrets, old_facts = channel_secrets.unseal(channel.secrets), _facts(channel)
        plain, secret = validation.checked(session, kind, fields, channel)
        phones_known = _reads(session, fields.phone_property)
        changed = sorted(name for name in plain | channel.settings if plain.get(name) != channel.settings.get(name))
        changed += sorted(name for name in secret if secret[name] != old_secrets.get(name))
        channel.settings = plain
        _write(channel, fields)
        if secret != old_secrets:
            channel.secrets = channel_secrets.seal(secret)
        changed += [name for name, value in _facts(channel).items() if value != old_facts[name]]
        if not changed:
            return
        channel.updated_at = now
        channel.checked_at, channel.check_result = None, ""
        paces.delete(session, channel_id)
        if not phones_known:
            phone_properties.note_phone_property(session, channel.phone_property)
        phone_properties.note_left_property(session, str(old_facts["phone_property"]))
        audit_log.log_action(session, actor, "edit", "channel", channel_id, now, name=channel.name, changed=changed)


def set_active(channel_id: int, active: bool, actor: Actor, now: dt.datetime) -> None:
    """Let campaigns choose this channel, or no longer; runs of an inactive channel are held."""
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        channel = locked(session, channel_id)
        if channel.active != active:
            channel.active, channel.updated_at = active, now
            audit_log.log_action(
                session, actor, "activate" if active else "deactivate", "channel", channel_id, now, name=channel.name
            )


def delete(channel_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove a channel that was never used; raises Refusal if anything refers to it."""
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        channel = locked(session, channel_id)
        if store.is_used(session, channel_id):
            raise Refusal(Problem("channel_used"))
        audit_log.log_action(session, actor, "delete", "channel", channel_id, now, name=channel.name, kind=channel.kind)
        channel_health.delete_of_channel(session, channel_id)
        paces.delete(session, channel_id)
        session.delete(channel)
        session.flush()
        phone_properties.note_left_property(session, channel.phone_property)
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


def _write(channel: ChannelRow, fields: ChannelFields) -> None:
    channel.name = fields.name.strip()
    channel.phone_property = fields.phone_property
    channel.trusted_numbers = fields.trusted_numbers
    channel.country = fields.country.strip().upper()
    countries = (
        registry.usual_countries(registry.kinds()[channel.kind]) if fields.countries is None else fields.countries
    )
    channel.countries = read_countries(countries)[0]
    channel.number_limits = [limit.as_json() for limit in number_limits.read(fields.number_limits)[0]]
    channel.number_classes = sorted(fields.number_classes)
    channel.rate = fields.rate
    channel.quiet_from, channel.quiet_until = fields.quiet_from, fields.quiet_until
    channel.price, channel.currency = fields.price, fields.currency.strip().upper()
    channel.balance_low = fields.balance_low
    channel.refusal_scope = fields.refusal_scope
