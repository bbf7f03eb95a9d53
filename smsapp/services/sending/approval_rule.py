"""The setting from which size on a second person is needed: read by confirmations and freezes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy.orm import Session

from smsapp.domain.approval import SUGGESTED, ApprovalRule
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import users
from smsapp.store.db import current_session, writing

APPROVALS = "approvals"
"""Preference: {"enabled": bool, "messages": n, "amount": "100.00", "percent": n}."""
MOST_MESSAGES, MOST_AMOUNT, MOST_PERCENT = 100_000_000, Decimal(100_000_000), 100


def rule(session: Session) -> ApprovalRule:
    """Return the saved rule; the suggested one, disabled, if none was ever saved."""
    value = users.preference(session, APPROVALS)
    if value is None:
        return SUGGESTED
    amount = value.get("amount")
    return ApprovalRule(
        value["enabled"], value.get("messages"), None if amount is None else Decimal(amount), value["percent"]
    )


def saved() -> ApprovalRule:
    """Return the rule as it is now, outside of a transaction."""
    return rule(current_session())


def save(wanted: ApprovalRule, by: Actor, now: dt.datetime) -> None:
    """Save the rule: it applies to every confirmation and every run from now on. Raises Refusal with the problems."""
    require(by, Right.SENDING_WRITE)
    problems = _problems(wanted)
    if problems:
        raise Refusal(*problems)
    value = {
        "enabled": wanted.enabled,
        "messages": wanted.messages,
        "amount": None if wanted.amount is None else str(wanted.amount),
        "percent": wanted.percent,
    }
    with writing() as session:
        if users.preference(session, APPROVALS) == value:
            return
        users.save_preference(session, APPROVALS, value)
        audit_log.log_action(session, by, "change", "preference", APPROVALS, now, **value)


def _problems(wanted: ApprovalRule) -> list[Problem]:
    problems = []
    if wanted.messages is not None and not 1 <= wanted.messages <= MOST_MESSAGES:
        problems.append(Problem("approval_messages", "messages", {"most": MOST_MESSAGES}))
    if wanted.amount is not None and not (wanted.amount.is_finite() and 0 < wanted.amount <= MOST_AMOUNT):
        problems.append(Problem("approval_amount", "amount", {"most": int(MOST_AMOUNT)}))
    if not 0 <= wanted.percent <= MOST_PERCENT:
        problems.append(Problem("approval_percent", "percent", {"most": MOST_PERCENT}))
    if wanted.enabled and wanted.messages is None and wanted.amount is None:
        problems.append(Problem("approval_size_missing", "messages"))
    return problems
