"""Signatures of uploads: an HMAC with a secret that the AppKey's server and this product share.

Signed are, one a line: "v1", the method, the path with its query, the time in Unix seconds, a nonce, and the SHA-256 of
the body as it travels, in hexadecimal.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

WINDOW = dt.timedelta(minutes=5)
"""How far the time of a signature may be from now, before or after."""
GRACE = dt.timedelta(hours=24)
"""How long the previous secret is still taken after a new one was made."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")


class SignatureFault(enum.StrEnum):
    """Why a signed upload is not taken."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    """The key is unknown or disabled, or has no secret."""
    WRONG = "wrong"
    STALE = "stale"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class UploadSignature:
    """What the headers of a request say, and what they sign."""

    key: str
    timestamp: str
    nonce: str
    signature: str = field(repr=False)
    method: str = "POST"
    target: str = "/up"
    """Path and query as they were requested."""

    def signed_text(self, body: bytes) -> bytes:
        """Return what is signed."""
        digest = hashlib.sha256(body).hexdigest()
        return "\n".join(("v1", self.method, self.target, self.timestamp, self.nonce, digest)).encode()

    def fault(self, body: bytes, secrets: Iterable[str], now: dt.datetime) -> SignatureFault | None:
        """Return why the signature does not hold, None if it was made with one of these secrets within WINDOW.

        Whether the nonce was used before is for the caller to say.
        """
        if not re.fullmatch(r"[0-9]{1,12}", self.timestamp) or not _NONCE.fullmatch(self.nonce):
            return SignatureFault.MALFORMED
        text = self.signed_text(body)
        expected = [signature_of(secret, text) for secret in secrets]
        if not expected:
            return SignatureFault.UNKNOWN_KEY
        given = self.signature.lower().encode()
        if not any(hmac.compare_digest(made.encode(), given) for made in expected):
            return SignatureFault.WRONG
        if abs(now.timestamp() - int(self.timestamp)) > WINDOW.total_seconds():
            return SignatureFault.STALE
        return None


def signature_of(secret: str, text: bytes) -> str:
    """Return the HMAC-SHA256 of a text in hexadecimal."""
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
