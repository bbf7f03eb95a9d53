"""Removes the demo data, and nothing else."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store import demo_rows
from smsapp.store.db import current_session, writing


def is_there() -> bool:
    """Return whether there is demo data."""
    return bool(demo_rows.made(current_session()))


def remove(actor: Actor, now: dt.datetime) -> int:
    """Remove the demo data; return how many of its entries stay because something else uses them.

    Raises NotFound if there is none, Refusal while a campaign of the demo is being sent.
    """
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        demo = demo_rows.made(session)
        if not demo:
            raise NotFound("demo")
        if demo_rows.is_sending(session, demo):
            raise Refusal(Problem("demo_is_sending"))
        remaining = demo_rows.remove(session, demo)
        log_action(session, actor, "remove", "demo", "", now)
    return remaining
