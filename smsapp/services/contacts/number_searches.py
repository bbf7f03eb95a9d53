"""Limits of searches by a whole number, and of lists of numbers: many of them could reveal a masked number.

People and API keys that may not see whole numbers may do a few of them, and each adds a line to the audit log.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import writing
from smsapp.store.settings import settings
from smsapp.store.users import times, times_by

SEARCH, LIST = "search_number", "upload_numbers"
SEARCHES_PER_HOUR = 60
LISTS_PER_DAY = 20


def note_search(text: str, actor: Actor, now: dt.datetime) -> None:
    """Log a search for a whole number by somebody without the right; raises Refusal after too many of them.

    Searches for anything else are not limited.
    """
    require(actor, Right.WORK_VIEW)
    number = phone.normalise(text, settings().DEFAULT_REGION)
    if not number:
        return
    with writing() as session:
        if _is_spent(session, actor, SEARCH, SEARCHES_PER_HOUR, now - dt.timedelta(hours=1)):
            raise Refusal(Problem("number_searches_spent", "phone", {"most": SEARCHES_PER_HOUR}))
        audit_log.log_action(session, actor, SEARCH, "contact", "", now, number=phone.mask(number))


def check_list(session: Session, actor: Actor, now: dt.datetime) -> None:
    """Raise Refusal if somebody without the right has matched too many lists by numbers; the caller logs each."""
    if _is_spent(session, actor, LIST, LISTS_PER_DAY, now - dt.timedelta(days=1)):
        raise Refusal(Problem("number_lists_spent", "file", {"most": LISTS_PER_DAY}))


def _is_spent(session: Session, actor: Actor, action: str, most: int, since: dt.datetime) -> bool:
    if actor.is_system:
        return False
    n = (
        times_by(session, actor.name, action, since)
        if actor.user_id is None
        else times(session, actor.user_id, action, since)
    )
    return n >= most
