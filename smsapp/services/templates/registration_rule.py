"""The setting of administrators: whether a red light keeps a campaign from being confirmed, or only warns."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.rights import Right
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import users
from smsapp.store.db import current_session, writing

RULE = "registration_rule"
"""Preference: {"refuse": bool}"""


def refuses() -> bool:
    """Return whether a campaign with messages for a carrier with a red light cannot be confirmed."""
    value = users.preference(current_session(), RULE)
    return bool(value and value.get("refuse"))


def set_refuses(refuse: bool, by: Actor, now: dt.datetime) -> None:
    """Save the setting; it applies to every confirmation from now on."""
    require(by, Right.SENDING_WRITE)
    with writing() as session:
        if refuses() == refuse:
            return
        users.save_preference(session, RULE, {"refuse": refuse})
        audit_log.log_action(session, by, "change", "preference", RULE, now, refuse=refuse)
