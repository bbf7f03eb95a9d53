"""Our reference as a provider brings it back, sealed: an account may have other users, and callbacks are not signed."""

from __future__ import annotations

import hashlib
import hmac


def sign_ref(secret: str, ref: str, phone: str) -> str:
    """Return the reference of a message to this number (E.164) with ten hexadecimal digits that only we can make."""
    return f"{ref}.{hmac.new(secret.encode(), f'{ref} {phone}'.encode(), hashlib.sha256).hexdigest()[:10]}"


def verify_ref(secret: str, brought: object, phone: str) -> str:
    """Return the reference in what a receipt for this number brought back; "" if it is not ours."""
    text = str(brought or "")
    ref, dot, _ = text.partition(".")
    return ref if dot and hmac.compare_digest(sign_ref(secret, ref, phone).encode(), text.encode()) else ""
