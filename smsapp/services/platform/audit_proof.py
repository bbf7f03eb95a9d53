"""Whether the audit log is what was written."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from smsapp.store import audit_chain
from smsapp.store.db import current_session

LATEST = 10_000
"""How many entries `flask doctor` looks at."""


@dataclass(frozen=True)
class AuditProof:
    """What a look at the chain has shown."""

    entries: int
    """In the chain."""
    digest: str
    """Of the last one: noted elsewhere and handed to `holds`, it tells whether entries were cut off at the end."""
    broken: int | None
    """The first position that is missing or not what was written; None if there is none."""
    unchained: int
    """Entries of versions before the chain, which nothing proves."""


def holds(position: int, digest: str) -> bool:
    """Return whether the entry that was the last one when this was noted is still there, and with the same digest."""
    stored = audit_chain.digest_at(current_session(), position)
    return stored is not None and hmac.compare_digest(stored.encode(), digest.encode())


def verify(latest: int | None = None) -> AuditProof:
    """Compare every entry of the chain, or only the latest ones, with its keyed hash."""
    session = current_session()
    entries, digest = audit_chain.head(session)
    after = max(0, entries - latest) if latest is not None else 0
    return AuditProof(entries, digest, audit_chain.broken(session, after), audit_chain.unchained(session))
