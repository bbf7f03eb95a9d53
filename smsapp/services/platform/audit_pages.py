"""Pages and exports of the audit log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from smsapp.domain.audit_filter import AuditFilter
from smsapp.domain.rights import Right
from smsapp.services.platform import keyset_page
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store import audit_log as store
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry

COLUMNS = (
    *("id", "at", "user_id", "by", "address", "action", "noun", "noun_id", "facts"),
    *("position", "digest"),
)
"""What an export holds of an entry; the last two prove it (store/audit_chain.py)."""


def audit_page(wanted: AuditFilter, before: int | None, limit: int = 50) -> KeysetPage[AuditEntry, int]:
    """Return one page of the entries that are meant, newest first."""
    lines = store.page(current_session(), wanted, before, limit + 1)
    return keyset_page.cut(lines, limit, lambda row: row.id)


def audit_actions() -> list[str]:
    """Return the actions that occur in the audit log."""
    return store.actions(current_session())


def audit_nouns() -> list[str]:
    """Return the nouns that occur in the audit log."""
    return store.nouns(current_session())


def export(wanted: AuditFilter, actor: Actor, now: dt.datetime) -> Iterator[dict[str, object]]:
    """Return the entries that are meant, oldest first, each as values of COLUMNS; the export itself is logged."""
    require(actor, Right.AUDIT_READ)
    with writing() as session:
        log_action(session, actor, "export", "audit_log", "", now)
    return map(_as_values, store.stream(current_session(), wanted))


def _as_values(entry: AuditEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in COLUMNS} | {"at": entry.at.isoformat()}
