"""Funnels and reasons of runs and campaigns, added up from their tallies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.funnel import Funnel
from smsapp.domain.message import Status
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import EXCLUDED, STATUSES, Tally, parsed


def run_funnels(session: Session, run_ids: Sequence[int]) -> dict[int, Funnel]:
    """Return {run id: funnel} from the tallies; list, report, export and API all use this query."""
    return _funnels(session, _OF_RUNS, run_ids)


def newest_funnels(session: Session, most: int) -> dict[int, Funnel]:
    """Return the funnels of the newest runs."""
    return run_funnels(session, session.scalars(sa.select(Run.id).order_by(Run.id.desc()).limit(most)).all())


def campaign_funnels(session: Session, campaign_ids: Sequence[int]) -> dict[int, Funnel]:
    """Return {campaign id: funnel}, all runs added up; campaigns without a run are left out.

    A run that repeats another one adds nobody to the target: its people's new states replace their states in that run.
    """
    return _funnels(session, _OF_CAMPAIGNS, campaign_ids, merged=True)


def _queries(key: Any, *, merged: bool) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return the SELECTs of (key, target, planned, parts) and of (key, state, reason, n) for the keys `ids`."""
    which = key.in_(sa.bindparam("ids", expanding=True))
    first = Run.repeats.is_(None) if merged else sa.true()
    target, planned = (sa.func.sum(sa.case((first, column), else_=0)) for column in (Run.target, Run.planned))
    totals = sa.select(key, target, planned, sa.func.sum(Run.parts)).where(which).group_by(key)
    counts = sa.select(key, Tally.state, Tally.reason, sa.func.sum(Tally.n)).join(Run, Run.id == Tally.run_id)
    counts = counts.where(which, sa.or_(first, Tally.state != EXCLUDED)).group_by(key, Tally.state, Tally.reason)
    return totals, counts


# Built once: list and report ask them again and again, and to build them takes as long as to ask them.
_OF_RUNS = _queries(Run.id, merged=False)
_OF_CAMPAIGNS = _queries(Run.campaign_id, merged=True)


def _funnels(
    session: Session, queries: tuple[sa.Select[Any], sa.Select[Any]], ids: Sequence[int], *, merged: bool = False
) -> dict[int, Funnel]:
    totals, counts = (session.execute(query, {"ids": ids}).all() for query in queries)
    excluded: dict[int, dict[str, int]] = {}
    messages: dict[int, Counter[Status]] = {}
    for key_id, key_of_tally, reason, n in counts:
        state, is_earlier = parsed(key_of_tally)
        if state == EXCLUDED:
            excluded.setdefault(key_id, {})[reason] = int(n)
        elif not is_earlier:
            messages.setdefault(key_id, Counter())[STATUSES[state]] += int(n)
        elif merged:
            messages.setdefault(key_id, Counter())[STATUSES[state]] -= int(n)
    return {
        key_id: Funnel(int(target), int(planned), excluded.get(key_id, {}), messages.get(key_id, {}), int(parts))
        for key_id, target, planned, parts in totals
    }


def reasons(session: Session, run_ids: Sequence[int], *, merged: bool = False) -> list[tuple[str, str, int]]:
    """Return (state, reason, people) for every tally with a reason, most frequent first.

    `merged`: for all runs of a campaign, counted as in campaign_funnels.
    """
    rows = session.execute(
        sa.select(Tally.state, Tally.reason, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(Tally.run_id.in_(run_ids), Tally.reason != "")
        .where(sa.or_(Run.repeats.is_(None), Tally.state != EXCLUDED) if merged else sa.true())
        .group_by(Tally.state, Tally.reason)
    )
    counts: Counter[tuple[str, str]] = Counter()
    for key, reason, n in rows:
        state, is_earlier = parsed(key)
        if not is_earlier:
            counts[state, reason] += int(n)
        elif merged:
            counts[state, reason] -= int(n)
    lines = [(state, reason, n) for (state, reason), n in counts.items() if n > 0]
    return sorted(lines, key=lambda line: (-line[2], line[0], line[1]))
