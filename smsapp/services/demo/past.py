"""Finished runs: frozen by the sending engine, then given the outcomes of an invented provider."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.services.sending import closing, opening
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims, demo
from smsapp.store.runs.demo import Fates
from smsapp.store.runs.runs import Run

USUAL: Fates = (
    (7, Status.REFUSED, Outcome.BAD_NUMBER),
    (4, Status.REFUSED, Outcome.FREQUENCY_LIMIT),
    (2, Status.REFUSED, Outcome.CONTENT_REFUSED),
    (18, Status.UNDELIVERED, Outcome.SWITCHED_OFF),
    (9, Status.UNDELIVERED, Outcome.NO_SUCH_SUBSCRIBER),
    (5, Status.UNDELIVERED, Outcome.BLOCKED_BY_CARRIER),
    (3, Status.UNDELIVERED, Outcome.SUSPENDED),
    (8, Status.NO_RECEIPT, None),
    (1, Status.UNCONFIRMED, claims.WORKER_LOST),
)
SIGNATURE_REFUSED: Fates = ((1000, Status.REFUSED, Outcome.SIGNATURE_REFUSED),)


def play(run_id: int, fates: Fates, parts: int, now: dt.datetime) -> None:
    """Freeze the run's audience at `now`, give every message its final state, close the run."""
    opening.open_run(run_id, now)
    begun = int(now.timestamp())
    with writing() as session:
        demo.finish(session, run_id, fates, parts, begun)
    planned = current_session().get_one(Run, run_id, populate_existing=True).planned
    closing.close_if_over(run_id, now + dt.timedelta(seconds=planned // demo.PER_SECOND + 2))
