"""The address at which a provider calls a channel: its token is all a provider has to know, and it can be changed."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from dataclasses import dataclass

from flask import current_app

from smsapp.channels.contract import Channel
from smsapp.domain.errors import NotFound
from smsapp.services.channels import channels
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels import channels as store
from smsapp.store.db import current_session, writing

CALLED = "smsapp.channels.called"
CALLED_SECONDS = 1.0
"""How long a channel that was called is taken for what it was: to look was a third of what a callback cost."""
GRACE = dt.timedelta(hours=24)
"""How long the old callback address is taken after a new one was made: somebody has to enter it at the provider."""


@dataclass(frozen=True)
class CalledChannel:
    """The channel a provider calls, ready to understand it; `url` is the address the provider has."""

    channel_id: int
    adapter: Channel
    url: str


def by_token(token: str, now: dt.datetime, *, anew: bool = False) -> CalledChannel:
    """Return the channel whose callback address ends in this token, `anew` as it is at this moment.

    Raises NotFound, or Refusal if it cannot be made.
    """
    known: dict[str, tuple[CalledChannel, float]] = current_app.extensions.setdefault(CALLED, {})
    called, until = known.get(token, (None, 0.0))
    if called is None or anew or time.monotonic() > until:
        known.pop(token, None)
        found = store.by_token(token, now)
        if found is None:
            raise NotFound("channel")
        called = CalledChannel(found.id, channels.adapter_of(found), channels.callback_url(found, token))
        current_session().commit()  # nothing is held open while the callback is checked and kept
        known[token] = (called, time.monotonic() + CALLED_SECONDS)
    return called


def rotate(channel_id: int, actor: Actor, now: dt.datetime, grace: dt.timedelta = GRACE) -> str:
    """Give the channel another callback address and return it; the one before is taken until `grace` is over.

    An address that was replaced earlier ends at once.
    """
    with writing() as session:
        found = channels.locked(session, channel_id)
        found.old_callback_token, found.old_callback_until = found.callback_token, now + grace
        found.callback_token, found.updated_at = secrets.token_urlsafe(32), now
        hours = grace.total_seconds() / 3600
        audit_log.log_action(
            session, actor, "rotate_callback", "channel", channel_id, now, name=found.name, hours=round(hours)
        )
    return channels.callback_url(found)
