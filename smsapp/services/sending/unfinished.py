"""Which unfinished runs a sender may take, and whether there is anything to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from smsapp.domain.run import (
    RunState,
)
from smsapp.services.channels import accounts
from smsapp.store.db import current_session
from smsapp.store.runs import claims, runs
from smsapp.store.runs.runs import Run


def at_hand(channel_ids: Collection[int] | None) -> list[Run]:
    """Return the unfinished runs of these channels, whose connections are held here; None: of those without one."""
    unfinished = runs.unfinished(current_session())
    if channel_ids is not None:
        return [run for run in unfinished if run.channel_id in channel_ids]
    held_elsewhere = accounts.held_elsewhere()
    return [run for run in unfinished if run.channel_id not in held_elsewhere]


def is_anything_left(channel_ids: Collection[int] | None, now: dt.datetime) -> bool:
    """Return whether a sender for these channels would find something to do."""
    unfinished = at_hand(channel_ids)
    due = [
        run for run in unfinished if run.state == RunState.HELD and run.hold_until is not None and run.hold_until <= now
    ]
    if due or any(run.state == RunState.OPEN for run in unfinished):
        return True
    return claims.is_ready(current_session(), [run.id for run in unfinished])
