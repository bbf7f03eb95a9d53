"""The address at which a provider calls a channel: it ends in a token, which can be changed."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from dataclasses import dataclass

from flask import current_app

from smsapp.channels.contract import Channel
from smsapp.domain.errors import NotFound
from smsapp.domain.rights import Right
from smsapp.services.channels import accounts, registry
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels import channels as store
from smsapp.store.db import current_session, writing

CALLED = "smsapp.channels.called"
CALLED_SECONDS = 1.0
"""How long a called channel is cached: looking it up for every callback is expensive."""
GRACE = dt.timedelta(hours=24)
"""How long the old callback address stays valid: somebody has to enter the new one at the provider."""


@dataclass(frozen=True)
class CalledChannel:
    """The channel a provider calls, with its adapter; `url` is the address the provider has."""

    channel_id: int
    adapter: Channel
    url: str


def by_token(token: str, now: dt.datetime, *, anew: bool = False) -> CalledChannel:
    """Return the channel whose callback address ends in this token; `anew`: not from the cache.

    Raises NotFound, or Refusal if its adapter cannot be made.
    """
    cache: dict[str, tuple[CalledChannel, float]] = current_app.extensions.setdefault(CALLED, {})
    target, until = cache.get(token, (None, 0.0))
    if target is None or anew or time.monotonic() > until:
        cache.pop(token, None)
        channel = store.by_token(current_session(), token, now)
        if channel is None:
            raise NotFound("channel")
        target = CalledChannel(channel.id, registry.adapter_of(channel), accounts.callback_url(channel, token))
        current_session().commit()  # nothing is held open while the callback is checked and kept
        cache[token] = (target, time.monotonic() + CALLED_SECONDS)
    return target


def rotate(channel_id: int, actor: Actor, now: dt.datetime, grace: dt.timedelta = GRACE) -> str:
    """Give the channel another callback address and return it; the previous one stays valid for `grace`.

    An address that was replaced earlier becomes invalid at once.
    """
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        channel.old_callback_token, channel.old_callback_until = channel.callback_token, now + grace
        channel.callback_token, channel.updated_at = secrets.token_urlsafe(32), now
        hours = grace.total_seconds() / 3600
        audit_log.log_action(
            session, actor, "rotate_callback", "channel", channel_id, now, name=channel.name, hours=round(hours)
        )
    return accounts.callback_url(channel)
