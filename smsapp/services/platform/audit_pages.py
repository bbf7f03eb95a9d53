"""Pages of the audit log, for administrators."""

from __future__ import annotations

from smsapp.services.platform import keyset_page
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store import users as rows
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry


def audit_page(user_id: int | None, action: str, before: int | None, limit: int = 50) -> KeysetPage[AuditEntry, int]:
    """Return one page of the audit log, of all or of one person or action."""
    lines = rows.audit_log(current_session(), user_id, action, before, limit + 1)
    return keyset_page.cut(lines, limit, lambda row: row.id)


def audit_actions() -> list[str]:
    """Return the actions that occur in the audit log."""
    return rows.audit_actions(current_session())
