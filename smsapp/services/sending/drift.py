"""The drift guard: a run whose people are not those that were reviewed is held before its first text.

The confirmation keeps whom it was for. When a run's audience is frozen it is compared with that (a recurring campaign's
also with its run before); if it has drifted by more than the settings allow, the freeze is undone and the run held with
the difference, which a person accepts. It is frozen anew then, and compared with what was accepted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import drift as rules
from smsapp.domain.drift import Drift, Limits
from smsapp.domain.errors import Conflict
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.trust import Origin
from smsapp.services.contacts import audience
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store import queue
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import drift as store
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

MOST_PREFIXES = 20
"""So many new prefixes are kept with a held run, those with the most messages."""
_ORIGINS = {origin.value[0]: origin for origin in Origin}


class Drifted(Exception):
    """The audience just frozen is not the reviewed one; `found` is what is kept of the difference (`run.drift`)."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        super().__init__(f"planned={found['now']['planned']}")


@dataclass(frozen=True)
class Group:
    """People of a held run who have something in common: how they differ from the review, and who wrote the number."""

    newer: bool
    """They came after the review."""
    changed: bool
    """Something about them was written since the review."""
    origin: Origin | None
    """Who wrote the number; None = not known."""
    n: int


@dataclass(frozen=True)
class DriftHold:
    """What a person who decides about a held run is shown."""

    drift: Drift
    groups: Sequence[Group]
    """The most people first."""
    mark: str
    """Names the audience that a person who accepts has seen."""


def reviewed(
    segment_id: int, channel_id: int | None, template_id: int, mapping: Mapping[str, Any], now: dt.datetime
) -> dict[str, Any]:
    """Count whom a campaign would write to now; return what the campaign keeps of it (`campaign.reviewed`)."""
    plan = audience.describe(segment_id, channel_id, template_id, mapping, now)
    target, leading = store.of_audience(current_session(), plan)
    counted = rules.Audience(target, sum(leading.values()), rules.by_prefix(leading))
    return {"confirmed": counted.as_json(), "previous": None}


def limits() -> Limits:
    """Return what may differ without a person."""
    return Limits(settings().DRIFT_PERCENT, settings().DRIFT_FEWEST, settings().DRIFT_ELSEWHERE)


def check(session: Session, campaign: Campaign, run: Run, phone_property: str, target: int, planned: int) -> None:
    """Compare the audience just frozen with the reviewed one; raises Drifted. What a recurring campaign wrote is kept.

    Runs that repeat another one have its people, and campaigns without a review nothing to compare with.
    """
    known = campaign.reviewed
    if run.repeats is not None or not known:
        return
    now = rules.Audience(target, planned, rules.by_prefix(store.of_run(session, run.id)))
    before = rules.Audience.from_json(known["confirmed"])
    if known["previous"]:
        before = before.joined(rules.Audience.from_json(known["previous"]))
    found = rules.drift(before, now, limits())
    if found is not None:
        since = campaign.confirmed_at or campaign.created_at
        groups = store.origins(session, run.id, phone_property, since)
        most = sorted(found.prefixes.items(), key=lambda pair: -pair[1])[:MOST_PREFIXES]
        kept = {"before": found.before, "countries": dict(found.countries), "prefixes": dict(most)}
        raise Drifted({"now": now.as_json(), "groups": [list(group) for group in groups], **kept})
    if campaign.recurring:
        campaign.reviewed = {**known, "previous": now.as_json()}


def hold(run_id: int, drifted: Drifted, now: dt.datetime) -> None:
    """Hold the run whose freeze was undone, with the difference."""
    with writing() as session:
        if runs.hold(session, run_id, HoldReason.AUDIENCE_GREW, None, now, Run.started_at.is_(None)):
            run = session.get_one(Run, run_id, populate_existing=True)
            run.drift = drifted.found
            log.warning("run.held run=%s reason=%s %s", run_id, HoldReason.AUDIENCE_GREW, drifted)


def held(run: Run) -> DriftHold | None:
    """Return the difference for which a run is held; None for any other run."""
    if run.state != RunState.HELD or run.hold_reason != HoldReason.AUDIENCE_GREW or not run.drift:
        return None
    known = run.drift
    groups = [Group(newer, moved, _ORIGINS.get(letter), n) for newer, moved, letter, n in known["groups"]]
    return DriftHold(
        Drift(known["before"], known["now"]["planned"], known["countries"], known["prefixes"]),
        sorted(groups, key=lambda group: -group.n),
        hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16],
    )


def accept(run_id: int, mark: str | None, actor: Actor, now: dt.datetime) -> int:
    """Let a held run go on to the people it has now; return how many messages were accepted.

    `mark` is the one of the difference seen (None: whatever it is). Raises Outrun if the run or the difference is
    another one by now. The audience is frozen anew and compared with what is accepted here.
    """
    with writing() as session:
        run = lock_row(session, Run, run_id)
        shown = held(run) if run else None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True) if run else None
        if run is None or campaign is None or shown is None or mark not in (None, shown.mark):
            raise Conflict(run=run_id)
        campaign.reviewed = {
            "confirmed": (run.drift or {})["now"],
            "previous": (campaign.reviewed or {}).get("previous"),
        }
        run.drift = None
        session.flush()
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        facts = {"before": shown.drift.before, "n": shown.drift.now}
        audit_log.log_action(session, actor, "accept_audience", "run", run_id, now, **facts)
    queue.enqueue(queue.SEND, "send", run_id)
    return shown.drift.now
