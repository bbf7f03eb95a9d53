"""Pages of the audit log, for administrators."""

from __future__ import annotations

from dataclasses import dataclass

from smsapp.store import users as rows
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry


@dataclass(frozen=True)
class AuditPage:
    """Entries, newest first; `older` is the id after which the next page begins, or None."""

    lines: list[AuditEntry]
    older: int | None


def audit_page(user_id: int | None, action: str, before: int | None, limit: int = 50) -> AuditPage:
    """Return one page of the audit log, of all or of one person or action."""
    lines = rows.audit_log(current_session(), user_id, action, before, limit + 1)
    return AuditPage(lines[:limit], lines[limit - 1].id if len(lines) > limit else None)


def audit_actions() -> list[str]:
    """Return the actions that occur in the audit log."""
    return rows.audit_actions(current_session())
