"""`flask reports`: what became of a campaign, and whether its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, Shown, failure
from smsapp.domain.errors import NotFound
from smsapp.services.platform import clock
from smsapp.services.reports import reports
from smsapp.services.reports import verify as verification
from smsapp.services.reports.reports import Report
from smsapp.shapes import runs as shapes

command = CommandGroup("reports", help="Show what became of campaigns; check that the numbers are true.")


def _share(n: int, total: int) -> str:
    return f"{n / total:6.1%}" if total else "      "


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.campaign.id}  {report.campaign.name or '(unnamed)'}  {report.campaign.status}"
    for step in report.steps:
        yield f"{step.group:<28}{step.n:>12,}  {_share(step.n, step.before)}"
        for gap in step.gaps:
            yield f"  - {gap.reason or gap.group:<24}{gap.n:>12,}"
    for line in report.reasons:
        yield f"{line.state.name.lower()}: {line.code:<24}{line.n:>12,}  {line.share:6.1%}"
    for cost in report.costs:
        price = "no price" if cost.amount is None else f"{cost.amount:,.2f} {cost.currency}"
        yield f"{cost.parts:,} billed parts, {price}"
    for row in report.runs:
        numbers = " > ".join(f"{step.n:,}" for step in row.steps)
        yield f"run {row.run.id}  {row.run.slot:%Y-%m-%d %H:%M} UTC  {row.run.verdict or row.run.state}  {numbers}"


@command.command("show", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def show(campaign_id: int) -> Shown:
    """Show the four numbers of a campaign, what lies between them, reasons, cost and runs.

    \b
    Example: flask reports show 12 --json | jq .steps.delivered
    Exit code 1 if there is no such campaign.
    """
    try:
        report = reports.report(campaign_id, None, clock.now())
    except NotFound:
        raise failure(f"There is no campaign {campaign_id}.") from None
    return Shown(shapes.report(report), _lines(report))


@command.command("verify", shows=True)
@click.argument("campaign_id", type=ROW_ID, required=False)
def verify(campaign_id: int | None) -> Shown:
    """Recount the rows of every run (or of one campaign's) and compare them with every stored sum.

    \b
    Example: flask reports verify
    Exit code 1 if a number is off; every one that is gets a line. A campaign that is being sent right now may change
    between the two counts: verify it again when it rests.
    """
    checked = 0
    broken: dict[str, list[str]] = {}
    try:
        for check in verification.verify(campaign_id):
            checked += bool(check.run_id)
            if check.broken:
                broken[check.where] = list(check.broken)
    except NotFound:
        raise failure(f"There is no campaign {campaign_id}.") from None
    if campaign_id is None:
        verification.note_all(len(broken), clock.now())
    lines = [f"{where}: {line}" for where, numbers in broken.items() for line in numbers]
    last = f"{checked} runs checked; numbers are off in {len(broken)} places."
    return Shown({"runs_checked": checked, "broken": broken}, [*lines, last], code=1 if broken else 0)
