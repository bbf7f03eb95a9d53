"""How long a web request may take."""

from __future__ import annotations

from smsapp.store import deadline
from smsapp.store.settings import settings


def begin(*, is_long: bool) -> None:
    """Start the clock of a request: REQUEST_SECONDS, or LONG_REQUEST_SECONDS for exports and uploads."""
    deadline.begin(settings().LONG_REQUEST_SECONDS if is_long else settings().REQUEST_SECONDS)


def end() -> None:
    """Stop the clock: what this thread does after the request has no limit."""
    deadline.end()
