"""Tells webhooks what has become of messages: many in one event, and only if one has asked for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.webhook import EventKind
from smsapp.store.apps import webhook_outbox
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import tally_key

MOST = 1000
"""Messages in one event."""


class Result(NamedTuple):
    """Messages of a run that are in this state now."""

    status: Status
    reason: str
    seqs: Sequence[int]


def is_wanted(session: Session) -> bool:
    """Return whether somebody hears about results."""
    return webhook_outbox.is_wanted(session, EventKind.MESSAGE_RESULTS)


def note(session: Session, results_by_run: Mapping[int, Sequence[Result]], at: int) -> None:
    """Have this transaction leave events with these results; `at`: Unix seconds."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    campaigns = session.execute(sa.select(Run.id, Run.campaign_id).where(Run.id.in_(results_by_run))).all()
    for run_id, campaign_id in campaigns:
        for status, reason, seqs in results_by_run[run_id]:
            for start in range(0, len(seqs), MOST):
                facts = {"run": run_id, "state": tally_key(status), "reason": reason}
                chunk = list(seqs[start : start + MOST])
                webhook_outbox.note(session, EventKind.MESSAGE_RESULTS, campaign_id, moment, **facts, messages=chunk)
