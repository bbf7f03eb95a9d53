"""The kinds of channels, and the adapter of a configured one."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from functools import cache
from pathlib import Path

from flask import current_app

from smsapp import channels as adapters
from smsapp.channels.contract import Channel
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.channels import channel_secrets
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

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


def needs_holder(channel: ChannelRow) -> bool:
    """Return whether one process holds this channel's connection and is the only one that sends over it."""
    kind = kinds().get(channel.kind)
    return kind is not None and kind.holds_connection


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
        adapter = kind(channel.settings | channel_secrets.unseal(channel.secrets), folder(channel.id))
    except ValueError as error:
        # Saved by another version, or by hand: one channel must not break a page that lists all of them.
        log.warning("channel.settings channel=%s setting=%s", channel.id, error)
        raise Refusal(Problem("channel_settings_unread", facts={"name": channel.name})) from None
    adapter.country = country_of(channel)
    return adapter


def folder(channel_id: int) -> Path:
    """Return the folder of this channel's own files."""
    return settings().INSTANCE_DIR / "channels" / str(channel_id)


def country_of(channel: ChannelRow) -> str:
    """Return the region code of the country whose national numbers this channel's provider writes."""
    kind = kinds().get(channel.kind)
    return (kind.home if kind else "") or channel.country or settings().DEFAULT_REGION


def usual_countries(kind: type[Channel]) -> str:
    """Return the countries a new channel of this kind may write to, as a person would type them; "" = every country."""
    return "" if kind.worldwide else kind.home or settings().DEFAULT_REGION


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
