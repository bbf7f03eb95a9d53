"""Secrets at rest: encrypted with the application's keys (ENCRYPTION_KEY), the newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.fernet import InvalidToken

from smsapp.store.settings import fernet


class Sealed(Exception):
    """None of the keys opens what is sealed."""


def seal(values: Mapping[str, str]) -> bytes:
    """Return the values encrypted with the newest key."""
    return fernet().encrypt(json.dumps(dict(values)).encode())


def unseal(token: bytes) -> dict[str, str]:
    """Return the values; raises Sealed if none of the keys fits."""
    try:
        values: dict[str, str] = json.loads(fernet().decrypt(token))
    except InvalidToken:
        raise Sealed from None
    return values


def seal_anew(token: bytes) -> bytes:
    """Return the same values encrypted with the newest key; raises Sealed if none of the keys fits."""
    try:
        return fernet().rotate(token)
    except InvalidToken:
        raise Sealed from None
