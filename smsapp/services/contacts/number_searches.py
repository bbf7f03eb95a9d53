"""Searches by a whole number, and lists of numbers: with enough of them somebody could find a masked number out.

So people who may not see whole numbers have a few of them, and each leaves a line in the audit log.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import writing
from smsapp.store.settings import settings
from smsapp.store.users import times

SEARCH, LIST = "search_number", "upload_numbers"
SEARCHES_PER_HOUR = 60
LISTS_PER_DAY = 20


def note_search(typed: str, actor: Actor, now: dt.datetime) -> None:
    """Note that somebody without the right looks for a whole number; raises Refusal for one search too many.

    Whatever else is typed may be looked for as often as wished.
    """
    number = phone.normalise(typed, settings().DEFAULT_REGION)
    if not number:
        return
    with writing() as session:
        if _is_spent(session, actor, SEARCH, SEARCHES_PER_HOUR, now - dt.timedelta(hours=1)):
            raise Refusal(Problem("number_searches_spent", "phone", {"most": SEARCHES_PER_HOUR}))
        audit_log.log_action(session, actor, SEARCH, "contact", "", now, number=phone.mask(number))


def check_list(session: Session, actor: Actor, now: dt.datetime) -> None:
    """Raise Refusal if somebody without the right has matched too many lists by numbers; the caller notes each."""
    if _is_spent(session, actor, LIST, LISTS_PER_DAY, now - dt.timedelta(days=1)):
        raise Refusal(Problem("number_lists_spent", "file", {"most": LISTS_PER_DAY}))


def _is_spent(session: Session, actor: Actor, action: str, most: int, since: dt.datetime) -> bool:
    return actor.user_id is not None and times(session, actor.user_id, action, since) >= most
