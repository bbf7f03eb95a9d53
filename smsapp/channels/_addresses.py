"""Which texts in settings are addresses that can be called."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit


def is_http_address(text: str) -> bool:
    """Return whether this is an http(s) address whose host has no placeholder."""
    parts = _split(text, {"http", "https"})
    return parts is not None and bool(parts.netloc) and "{" not in parts.netloc


def is_host_and_port(text: str, schemes: Collection[str]) -> bool:
    """Return whether this is an address with one of these schemes that names a host and a port, and no user."""
    parts = _split(text.strip(), schemes)
    try:
        return parts is not None and bool(parts.hostname) and bool(parts.port) and not parts.username
    except ValueError:  # the port is not a number
        return False


def _split(text: str, schemes: Collection[str]) -> SplitResult | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts if parts.scheme in schemes else None
