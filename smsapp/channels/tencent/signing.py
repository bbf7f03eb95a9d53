"""The signature of a request: TC3-HMAC-SHA256."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

ALGORITHM = "TC3-HMAC-SHA256"


def authorization(host: str, path: str, body: bytes, at: int, key_id: str, secret: str) -> str:
    """Return the Authorization header of a POST of JSON; `at` is Unix seconds."""
    date = dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d")
    canonical = (
        f"POST\n{path}\n\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n"
        f"{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{date}/sms/tc3_request"
    to_sign = f"{ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret}".encode()
    for step in (date, "sms", "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}"
