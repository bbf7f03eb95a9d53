"""`flask reports`: what became of a campaign, and whether its numbers are true."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, echo
from smsapp.domain.errors import NotFound
from smsapp.services.platform import clock
from smsapp.services.reports import reports
from smsapp.services.reports import verify as verification
from smsapp.services.reports.reports import Report

command = CommandGroup("reports", help="Show what became of campaigns; check that the numbers are true.")


def _as_json(report: Report) -> dict[str, Any]:
    funnel = report.funnel
    return {
        "campaign": {"id": report.campaign.id, "name": report.campaign.name, "status": report.campaign.status},
        "as_of": report.as_of.isoformat(),
        "steps": {step.group: step.n for step in report.steps},
        "between": [{"group": gap.group, "reason": gap.reason, "n": gap.n} for s in report.steps for gap in s.gaps],
        "planned": funnel.planned,
        "reasons": [
            {
                "state": line.state.name.lower(),
                "reason": line.code,
                "n": line.n,
                "retriable": line.meaning.retriable if line.meaning else None,
                "charged": line.meaning.charged if line.meaning else None,
            }
            for line in report.reasons
        ],
        "costs": [
            {"parts": c.parts, "amount": None if c.amount is None else str(c.amount), "currency": c.currency}
            for c in report.costs
        ],
        "runs": [
            {
                "id": line.run.id,
                "slot": line.run.slot.isoformat(),
                "state": line.run.state,
                "verdict": line.run.verdict,
                "hold_reason": line.run.hold_reason,
                "steps": {step.group: step.n for step in line.steps},
            }
            for line in report.runs
        ],
    }


def _share(n: int, total: int) -> str:
    return f"{n / total:6.1%}" if total else "      "


def _print(report: Report) -> None:
    echo(f"{report.campaign.id}  {report.campaign.name or '(unnamed)'}  {report.campaign.status}")
    for step in report.steps:
        echo(f"{step.group:<28}{step.n:>12,}  {_share(step.n, step.before)}")
        for gap in step.gaps:
            echo(f"  - {gap.reason or gap.group:<24}{gap.n:>12,}")
    for line in report.reasons:
        echo(f"{line.state.name.lower()}: {line.code:<24}{line.n:>12,}  {line.share:6.1%}")
    for cost in report.costs:
        price = "no price" if cost.amount is None else f"{cost.amount:,.2f} {cost.currency}"
        echo(f"{cost.parts:,} billed parts, {price}")
    for row in report.runs:
        numbers = " > ".join(f"{step.n:,}" for step in row.steps)
        echo(f"run {row.run.id}  {row.run.slot:%Y-%m-%d %H:%M} UTC  {row.run.verdict or row.run.state}  {numbers}")


@command.command()
@click.argument("campaign_id", type=ROW_ID)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def show(campaign_id: int, as_json: bool) -> None:
    """Show the four numbers of a campaign, what lies between them, reasons, cost and runs.

    \b
    Example: flask reports show 12 --json | jq .steps.delivered
    Exit code 1 if there is no such campaign.
    """
    try:
        report = reports.report(campaign_id, None, clock.now())
    except NotFound:
        echo(f"There is no campaign {campaign_id}.", err=True)
        sys.exit(1)
    if as_json:
        echo(json.dumps(_as_json(report), ensure_ascii=False, indent=2))
    else:
        _print(report)


@command.command()
@click.argument("campaign_id", type=ROW_ID, required=False)
def verify(campaign_id: int | None) -> None:
    """Recount the rows of every run (or of one campaign's) and compare them with every stored sum.

    \b
    Example: flask reports verify
    Exit code 1 if a number is off; every one that is gets a line. A campaign that is being sent right now may change
    between the two counts: verify it again when it rests.
    """
    checked = off = 0
    try:
        for check in verification.verify(campaign_id):
            checked += bool(check.run_id)
            off += bool(check.broken)
            for line in check.broken:
                echo(f"{check.where}: {line}")
    except NotFound:
        echo(f"There is no campaign {campaign_id}.", err=True)
        sys.exit(1)
    if campaign_id is None:
        verification.note_all(off, clock.now())
    echo(f"{checked} runs checked; numbers are off in {off} places.")
    sys.exit(1 if off else 0)
