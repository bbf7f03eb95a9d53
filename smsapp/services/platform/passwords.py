"""Passwords as hashes; checking one takes as long whether or not there is somebody."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

hasher = PasswordHasher()


@cache
def nobody() -> str:
    """Return a hash that no password matches: unknown logins are checked against it, so that the answer takes as long.

    It is made on first use: every worker and command loads this file, and hashing is slow on purpose.
    """
    return hasher.hash(secrets.token_hex(16))


def fits(password_hash: str, password: str) -> bool:
    """Return whether the password is the one of this hash."""
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
