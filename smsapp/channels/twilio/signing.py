"""The signature of a callback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

Fields = Iterable[tuple[str, str]]


def signature(token: str, address: str, fields: Fields) -> str:
    """Return the value of X-Twilio-Signature: computed over the whole address and the sorted fields of the form."""
    text = address + "".join(name + value for name, value in sorted(set(fields)))
    # SHA-1 is the provider's choice.
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def spellings(address: str) -> set[str]:
    """Return the address with and without its port: Twilio signs either of them."""
    parts = urlsplit(address)
    host = parts.netloc.partition(":")[0]
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {address} | {parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}")}
