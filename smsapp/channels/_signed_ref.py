"""Signed references: an account may have other users, and some providers do not sign their callbacks."""

from __future__ import annotations

import hashlib
import hmac


def sign_ref(secret: str, ref: str, phone: str) -> str:
    """Return the reference of a message to this number (E.164), signed with ten hexadecimal digits of an HMAC."""
    return f"{ref}.{hmac.new(secret.encode(), f'{ref} {phone}'.encode(), hashlib.sha256).hexdigest()[:10]}"


def verify_ref(secret: str, raw: object, phone: str) -> str:
    """Return the reference in the signed reference of a receipt for this number; "" if the signature is wrong."""
    text = str(raw or "")
    ref, dot, _ = text.partition(".")
    return ref if dot and hmac.compare_digest(sign_ref(secret, ref, phone).encode(), text.encode()) else ""
