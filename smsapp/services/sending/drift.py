"""The drift guard: a run whose people are not those that were reviewed is held before its first text.

The confirmation stores the reviewed audience. When a run's audience is frozen it is compared with that (a recurring
campaign's also with its previous run); if it has drifted by more than the settings allow, the freeze is rolled back and
the run held with the difference. Once a person accepts it, it is frozen anew and compared with what was accepted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import drift as rules
from smsapp.domain.drift import Drift, Limits
from smsapp.domain.errors import Conflict
from smsapp.domain.rights import Right
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.trust import Origin
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import queue
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.audience import Audience
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import drift as store
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

MOST_PREFIXES = 20
"""How many new prefixes are stored with a held run: those with the most messages."""
_ORIGINS = {origin.value[0]: origin for origin in Origin}


class AudienceDrifted(Exception):
    """The audience just frozen is not the reviewed one; `difference` as stored in `run.drift`."""

    def __init__(self, difference: dict[str, Any]) -> None:
        self.difference = difference
        super().__init__(f"planned={difference['now']['planned']}")


@dataclass(frozen=True)
class Group:
    """People of a held run with the same difference from the review and the same origin of their number."""

    newer: bool
    """They came after the review."""
    changed: bool
    """A value of theirs was written since the review."""
    origin: Origin | None
    """The source of the number; None = unknown."""
    n: int


@dataclass(frozen=True)
class DriftHold:
    """The facts by which a person decides about a held run."""

    drift: Drift
    groups: Sequence[Group]
    """The most people first."""
    mark: str
    """Names the audience that a person who accepts has seen."""


def reviewed(plan: Audience) -> dict[str, Any]:
    """Count the audience of a campaign now; return it as stored in `campaign.reviewed`."""
    target, leading = store.of_audience(current_session(), plan)
    counted = rules.Audience(target, sum(leading.values()), rules.by_prefix(leading))
    return {"confirmed": counted.as_json(), "previous": None}


def limits() -> Limits:
    """Return how much may differ without a person's decision."""
    return Limits(settings().DRIFT_PERCENT, settings().DRIFT_FEWEST, settings().DRIFT_ELSEWHERE)


def check(session: Session, campaign: Campaign, run: Run, phone_property: str, target: int, planned: int) -> None:
    """Compare the audience just frozen with the reviewed one; raises Drifted. Store a recurring campaign's audience.

    Runs that repeat another one, and campaigns without a stored review, are not compared.
    """
    review = campaign.reviewed
    if run.repeats is not None or not review:
        return
    now = rules.Audience(target, planned, rules.by_prefix(store.of_run(session, run.id)))
    before = rules.Audience.from_json(review["confirmed"])
    if review["previous"]:
        before = before.joined(rules.Audience.from_json(review["previous"]))
    difference = rules.drift(before, now, limits())
    if difference is not None:
        since = campaign.confirmed_at or campaign.created_at
        groups = store.origins(session, run.id, phone_property, since)
        most = sorted(difference.prefixes.items(), key=lambda pair: -pair[1])[:MOST_PREFIXES]
        facts = {"before": difference.before, "countries": dict(difference.countries), "prefixes": dict(most)}
        raise AudienceDrifted({"now": now.as_json(), "groups": [list(group) for group in groups], **facts})
    if campaign.recurring:
        campaign.reviewed = {**review, "previous": now.as_json()}


def hold(run_id: int, drifted: AudienceDrifted, now: dt.datetime) -> None:
    """Hold the run whose freeze was rolled back, with the difference."""
    with writing() as session:
        if runs.hold(session, run_id, HoldReason.AUDIENCE_GREW, None, now, Run.started_at.is_(None)):
            run = session.get_one(Run, run_id, populate_existing=True)
            run.drift = drifted.difference
            log.warning("run.held run=%s reason=%s %s", run_id, HoldReason.AUDIENCE_GREW, drifted)


def held(run: Run) -> DriftHold | None:
    """Return the difference for which a run is held; None for any other run."""
    if run.state != RunState.HELD or run.hold_reason != HoldReason.AUDIENCE_GREW or not run.drift:
        return None
    facts = run.drift
    groups = [Group(newer, changed, _ORIGINS.get(letter), n) for newer, changed, letter, n in facts["groups"]]
    return DriftHold(
        Drift(facts["before"], facts["now"]["planned"], facts["countries"], facts["prefixes"]),
        sorted(groups, key=lambda group: -group.n),
        hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16],
    )


def of_run(run_id: int) -> DriftHold | None:
    """Return the difference for which the run with this id is held; None for any other run."""
    run = current_session().get(Run, run_id)
    return held(run) if run else None


def accept(run_id: int, mark: str | None, actor: Actor, now: dt.datetime) -> int:
    """Let a held run go on with its present audience; return how many messages were accepted.

    `mark` is that of the difference seen (None: any). Raises Conflict if the run or the difference has changed. The
    audience is frozen anew and compared with what is accepted here.
    """
    require(actor, Right.RUNS_ACCEPT)
    with writing() as session:
        run = lock_row(session, Run, run_id)
        difference = held(run) if run else None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True) if run else None
        if run is None or campaign is None or difference is None or mark not in (None, difference.mark):
            raise Conflict(run=run_id)
        campaign.reviewed = {
            "confirmed": (run.drift or {})["now"],
            "previous": (campaign.reviewed or {}).get("previous"),
        }
        run.drift = None
        session.flush()
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        facts = {"before": difference.drift.before, "n": difference.drift.now}
        audit_log.log_action(session, actor, "accept_audience", "run", run_id, now, **facts)
    queue.enqueue(queue.SEND, "send", run_id)
    return difference.drift.now
