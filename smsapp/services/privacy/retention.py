"""What is removed when it is old: one table of rules; a preview counts with the conditions that remove."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smsapp.domain.api_key import KEPT_FOR
from smsapp.domain.webhook import KEPT_DAYS
from smsapp.services.contacts import contacts, imports
from smsapp.services.sending import retention as messages
from smsapp.store.db import current_session, writing
from smsapp.store.privacy import aged_rows
from smsapp.store.privacy.aged_rows import AgedTable
from smsapp.store.receipts import inbox
from smsapp.store.runs import retention as runs
from smsapp.store.settings import settings

AT_ONCE = 500
"""Rows looked at for one transaction: few, because a callback that arrives meanwhile waits for it."""
MOST_COUNTED = 100_000
"""A preview counts no more."""


@dataclass(frozen=True)
class Rule:
    """How long the rows of a table are kept, and how they are counted and removed."""

    table: str
    setting: str
    """The setting that says how long; "" if that is fixed."""
    kept_for: Callable[[], dt.timedelta | None]
    """How long rows are kept; None for ever."""
    count: Callable[[dt.datetime], tuple[int, dt.datetime | None]]
    """Moment -> (older rows, counted up to MOST_COUNTED; time of the oldest)."""
    remove: Callable[[dt.datetime, dt.datetime], int]
    """(moment, now) -> how many older rows were removed, in small transactions."""


@dataclass(frozen=True)
class Preview:
    """What a rule would remove now."""

    rule: Rule
    kept_for: dt.timedelta | None
    rows: int
    oldest: dt.datetime | None

    @property
    def is_all_counted(self) -> bool:
        return self.rows < MOST_COUNTED


def preview(now: dt.datetime) -> list[Preview]:
    """Return what each rule would remove now."""
    previews = []
    for rule in RULES:
        kept_for = rule.kept_for()
        rows, oldest = (0, None) if kept_for is None else rule.count(now - kept_for)
        previews.append(Preview(rule, kept_for, rows, oldest))
    return previews


def purge(now: dt.datetime) -> dict[str, int]:
    """Remove what is older than the rules say; return table -> rows."""
    removed = {}
    for rule in RULES:
        kept_for = rule.kept_for()
        if kept_for is not None:
            removed[rule.table] = rule.remove(now - kept_for, now)
    return removed


def _aged(table: str, setting: str, kept_for: Callable[[], dt.timedelta | None], rows: AgedTable) -> Rule:
    def count(before: dt.datetime) -> tuple[int, dt.datetime | None]:
        return aged_rows.count(rows, before, MOST_COUNTED)

    def remove(before: dt.datetime, now: dt.datetime) -> int:
        total = 0
        while n := _remove_some(rows, before):
            total += n
        return total

    return Rule(table, setting, kept_for, count, remove)


def _remove_some(rows: AgedTable, before: dt.datetime) -> int:
    if rows.is_in_inbox:
        with inbox.writing_in_line() as connection:
            return aged_rows.delete(connection, rows, before, AT_ONCE)
    with writing() as session:
        return aged_rows.delete(session.connection(), rows, before, AT_ONCE)


def _days(name: str) -> Callable[[], dt.timedelta | None]:
    return lambda: dt.timedelta(days=getattr(settings(), name))


def _months(name: str) -> Callable[[], dt.timedelta | None]:
    def period() -> dt.timedelta | None:
        months: Any = getattr(settings(), name)
        return months * messages.MONTH if months else None

    return period


def _fixed(days: int) -> Callable[[], dt.timedelta | None]:
    return lambda: dt.timedelta(days=days)


def _waiting_files() -> Rule:
    def count(before: dt.datetime) -> tuple[int, dt.datetime | None]:
        return aged_rows.count(aged_rows.WAITING_FILES, before, MOST_COUNTED)

    def remove(before: dt.datetime, now: dt.datetime) -> int:
        return imports.drop_abandoned(before)

    return Rule("import", "", _fixed(imports.FORGOTTEN_DAYS), count, remove)


def _messages() -> Rule:
    def count(before: dt.datetime) -> tuple[int, dt.datetime | None]:
        return runs.count_old(current_session(), before)

    def remove(before: dt.datetime, now: dt.datetime) -> int:
        return len(messages.forget_messages(now))

    return Rule("message", "MESSAGE_MONTHS", _months("MESSAGE_MONTHS"), count, remove)


RULES = (
    _messages(),
    _aged("api_message", "MESSAGE_MONTHS", _months("MESSAGE_MONTHS"), aged_rows.API_MESSAGES),
    _aged("proof", "MESSAGE_MONTHS", _months("MESSAGE_MONTHS"), aged_rows.PROOFS),
    _aged("reply", "REPLY_MONTHS", _months("REPLY_MONTHS"), aged_rows.REPLIES),
    _aged("inbox", "RETENTION_DAYS", _days("RETENTION_DAYS"), aged_rows.INBOX_ROWS),
    _aged("unmatched_receipt", "RETENTION_DAYS", _days("RETENTION_DAYS"), aged_rows.UNMATCHED),
    _aged("bad_record", "", _fixed(contacts.BAD_RECORD_DAYS), aged_rows.BAD_RECORDS),
    _aged("webhook_event", "", _fixed(KEPT_DAYS), aged_rows.WEBHOOK_EVENTS),
    _aged("api_request", "", lambda: KEPT_FOR, aged_rows.API_REQUESTS),
    _aged("message_request", "", lambda: KEPT_FOR, aged_rows.MESSAGE_REQUESTS),
    _waiting_files(),
)
"""What is removed, and after how long. Exports are streamed and never stored."""
