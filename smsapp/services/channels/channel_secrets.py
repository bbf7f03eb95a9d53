"""The secrets of channels: encrypted in the database, never shown again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.apps import key_secrets, webhooks
from smsapp.services.platform import audit_log, sealing, second_factor
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sealing import Sealed
from smsapp.store.channels import channels as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.privacy import erased_numbers


def kept_secrets(channel: ChannelRow) -> frozenset[str]:
    """Return the names of the secrets that are set; never their values."""
    return frozenset(name for name, value in unseal(channel.secrets).items() if value)


def seal(values: Mapping[str, str]) -> bytes:
    """Return the secrets encrypted with the newest key."""
    return sealing.seal(values)


def unseal(token: bytes) -> dict[str, str]:
    """Return the secrets; raises Refusal if none of the keys fits."""
    try:
        return sealing.unseal(token) if token else {}
    except Sealed:
        raise Refusal(Problem("channel_secrets_locked")) from None


def rotate(actor: Actor, now: dt.datetime) -> tuple[int, int]:
    """Encrypt all secrets, those of AppKeys too, with the newest key; return how many channels and how many second
    factors have some.

    Raises Refusal if none of the keys fits one of them; then nothing is changed.
    """
    require(actor, Right.CHANNELS_WRITE)
    try:
        with writing() as session:
            with_secrets = [channel for channel in store.all_channels(session) if channel.secrets]
            for channel in with_secrets:
                channel.secrets = sealing.seal_anew(channel.secrets)
            key_secrets.seal_all_anew(session)
            webhooks.seal_all_anew(session)
            factors = second_factor.seal_all_anew(session)
            erased_numbers.reseal_key(session)
            audit_log.log_action(session, actor, "rotate", "channel", "*", now, channels=len(with_secrets))
    except Sealed:
        raise Refusal(Problem("channel_secrets_locked")) from None
    return len(with_secrets), factors
