"""The second factor: codes of an authenticator application (RFC 6238), and recovery codes for the day it is gone."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets

import pyotp

DIGITS = 6
STEP_SECONDS = 30
TOLERANCE = 1
"""Steps by which the clock of a telephone may be ahead or behind."""
RECOVERY_CODES = 10
RECOVERY_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are taken for another one: i, l, o, 0, 1."""
RECOVERY_GROUPS, RECOVERY_GROUP = 3, 4
"""Three groups of four letters: 59 bits."""
_DIGITS = re.compile(rf"\d{{{DIGITS}}}", re.ASCII)


def new_secret() -> str:
    """Return a secret of 160 bits in base32, as applications take it."""
    return pyotp.random_base32()


def enrolment_uri(secret: str, login: str, issuer: str) -> str:
    """Return the otpauth: address that a QR code holds."""
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(name=login, issuer_name=issuer)


def matching_step(secret: str, code: str, now: dt.datetime, last_step: int) -> int | None:
    """Return the step of time to which the code belongs; None if to none, or to one up to `last_step`, which was used.

    The steps are compared in constant time; the newest wins.
    """
    plain = re.sub(r"\s", "", code)
    if _DIGITS.fullmatch(plain) is None:
        return None
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    present = int(now.timestamp()) // STEP_SECONDS
    matching = [
        step
        for step in range(present - TOLERANCE, present + TOLERANCE + 1)
        if hmac.compare_digest(totp.generate_otp(step), plain) and step > last_step
    ]
    return max(matching, default=None)


def new_recovery_codes() -> list[str]:
    """Return new codes as they are shown: "abcd-efgh-jkmn"."""
    return [
        "-".join(
            "".join(secrets.choice(RECOVERY_LETTERS) for _ in range(RECOVERY_GROUP)) for _ in range(RECOVERY_GROUPS)
        )
        for _ in range(RECOVERY_CODES)
    ]


def recovery_digest(code: str) -> str:
    """Return what is stored of a recovery code; how it was typed (case, blanks, dashes) makes no difference.

    A plain SHA-256 is enough: 59 random bits are not guessed, unlike a password.
    """
    return hashlib.sha256(re.sub(r"[\s-]", "", code.lower()).encode()).hexdigest()
