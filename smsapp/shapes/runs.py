"""The numbers of campaigns and runs, which add up, and why messages failed."""

from __future__ import annotations

from typing import Any

from smsapp.domain.funnel import Funnel
from smsapp.domain.message import Status
from smsapp.services.reports.reports import Report, RunLine

OF_RUN = ("id", "slot", "state", "hold_reason", "verdict", "repeats", "started_at", "finished_at")


def run(line: RunLine) -> dict[str, Any]:
    """Return one run with its numbers."""
    return {name: getattr(line.run, name) for name in OF_RUN} | {"funnel": funnel(line.funnel)}


def funnel(numbers: Funnel) -> dict[str, Any]:
    """Return numbers: target = planned + excluded; planned = the sum of messages."""
    return {
        "target": numbers.target,
        "effective": numbers.effective,
        "planned": numbers.planned,
        "accepted": numbers.accepted,
        "delivered": numbers.delivered,
        "parts": numbers.parts,
        "excluded": {str(reason): n for reason, n in numbers.excluded.items() if n},
        "messages": {state.name.lower(): numbers.count(state) for state in Status if numbers.count(state)},
    }


def report(seen: Report) -> dict[str, Any]:
    """Return what became of a campaign: steps, what lies between them, reasons, costs, runs."""
    numbers = seen.funnel
    return {
        "campaign": {"id": seen.campaign.id, "name": seen.campaign.name, "status": seen.campaign.status},
        "as_of": seen.as_of,
        "steps": {step.group: step.n for step in seen.steps},
        "between": [{"group": gap.group, "reason": gap.reason, "n": gap.n} for s in seen.steps for gap in s.gaps],
        "planned": numbers.planned,
        "reasons": [
            {
                "state": line.state.name.lower(),
                "reason": line.code,
                "n": line.n,
                "retriable": line.meaning.retriable if line.meaning else None,
                "charged": line.meaning.charged if line.meaning else None,
            }
            for line in seen.reasons
        ],
        "costs": [{"parts": cost.parts, "amount": cost.amount, "currency": cost.currency} for cost in seen.costs],
        "runs": [
            {
                "id": line.run.id,
                "slot": line.run.slot,
                "state": line.run.state,
                "verdict": line.run.verdict,
                "hold_reason": line.run.hold_reason,
                "steps": {step.group: step.n for step in line.steps},
            }
            for line in seen.runs
        ],
    }
