"""The secrets of channels: encrypted in the database, never shown again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from smsapp.domain.errors import Problem, Refusal
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels import channels as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.settings import encryption_keys, settings


def kept_secrets(channel: ChannelRow) -> frozenset[str]:
    """Return the names of the secrets that are set; never their values."""
    return frozenset(name for name, value in unseal(channel.secrets).items() if value)


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in encryption_keys(settings())])


def seal(values: Mapping[str, str]) -> bytes:
    """Return the secrets encrypted with the newest key."""
    return _fernet().encrypt(json.dumps(dict(values)).encode())


def unseal(token: bytes) -> dict[str, str]:
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
