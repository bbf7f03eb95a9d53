"""Failed attempts to sign in, in the audit log: the first ones of an hour one by one, what is more as one number.

Who floods the sign-in page from many addresses would fill the log otherwise, which nobody can shorten.
"""

from __future__ import annotations

import datetime as dt

from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session, writing
from smsapp.store.sign_in import failures
from smsapp.store.users import User

SIGN_IN_PAGE = "sign-in page"
"""The actor of requests by somebody who is not signed in."""
WINDOW = dt.timedelta(hours=1)
SINGLY = 20
"""Attempts as one person, or as nobody we know, that have an entry of their own in a WINDOW."""


def log(person: User | None, address: str, now: dt.datetime, **facts: str) -> None:
    """Log a refused attempt; unknown logins too, or the response time would tell which logins exist.

    The typed login is not stored: it may be a password in the wrong field.
    """
    person_id, login = (str(person.id), person.login) if person is not None else ("", "")
    actor = Actor(SIGN_IN_PAGE, address=address)
    with writing() as session:
        if failures.logged(session, person_id, now - WINDOW, SINGLY) >= SINGLY:
            failures.count(session, person_id, now)
        else:
            audit_log.log_action(session, actor, failures.FAILED, "person", _noun(person_id), now, login=login, **facts)


def _noun(person: str) -> int | str:
    return int(person) if person else ""


def has_work(now: dt.datetime) -> bool:
    """Return whether anything counted is to be logged."""
    return failures.is_any_older(current_session(), now - WINDOW)


def log_counted(now: dt.datetime) -> None:
    """Log what was counted in windows that are over, one entry for each person."""
    with writing() as session:
        for counted in failures.take_older(session, now - WINDOW):
            audit_log.log_action(
                session,
                Actor(SIGN_IN_PAGE),
                failures.FAILED,
                "person",
                _noun(counted.person),
                now,
                attempts=counted.n,
                counted_since=counted.since.isoformat(timespec="seconds"),
            )
