"""What a condition on the ledger can name: campaigns that have been sent, and their runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from smsapp.store.campaigns import campaign_list
from smsapp.store.db import current_session
from smsapp.store.runs import runs

MOST = 200


@dataclass(frozen=True)
class SentCampaign:
    """A campaign with at least one run; `name` may be empty."""

    id: int
    name: str


@dataclass(frozen=True)
class SentRun:
    """A run whose audience was frozen, and when it was due."""

    id: int
    slot: dt.datetime
    repeats: bool


def campaigns(chosen: Collection[str] = ()) -> list[SentCampaign]:
    """Return the newest campaigns that were sent, also deleted ones, and those of these ids."""
    ids = [int(raw) for raw in chosen if _is_id(raw)]
    return [SentCampaign(*row) for row in campaign_list.sent(current_session(), ids, MOST)]


def name(campaign_id: int | None) -> str:
    """Return a campaign's name, "" if there is none."""
    return next((row.name for row in campaigns([str(campaign_id)]) if row.id == campaign_id), "")


def runs_of(raw: str) -> list[SentRun]:
    """Return the newest runs of the campaign with this id, as typed."""
    all_runs = runs.of_campaign(current_session(), int(raw)) if _is_id(raw) else []
    rows = [run for run in all_runs if run.started_at is not None]
    return [SentRun(run.id, run.slot, run.repeats is not None) for run in rows[:MOST]]


def slot(campaign_id: int | None, run_id: int) -> dt.datetime | None:
    """Return when a run of the campaign was due."""
    return next((run.slot for run in runs_of(str(campaign_id)) if run.id == run_id), None)


def _is_id(raw: str) -> bool:
    return raw.isascii() and raw.isdigit() and len(raw) < 10
