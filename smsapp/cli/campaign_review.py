"""flask campaigns rehearse, approvals: what the review page shows, and what waits for a second person."""

from __future__ import annotations

import click

from smsapp.cli.campaigns import ACTOR, command, line_of, moment
from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import Shown, failure
from smsapp.domain.errors import Conflict
from smsapp.domain.rehearsal import Rehearsal
from smsapp.services.campaigns import campaign_approvals, rehearsals
from smsapp.services.platform import clock


@command.command("rehearse", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def rehearse(campaign_id: int) -> Shown:
    """Render every text of a draft or waiting campaign and print what they come to; exit code 1 if it lacks something.

    Example: flask campaigns rehearse 12 --json
    """
    line_of(campaign_id)
    try:
        result = rehearsals.rehearse_now(campaign_id, ACTOR, clock.now)
    except Conflict as outrun:
        raise failure(f"Campaign {campaign_id} is {outrun.problems[0].facts['status']} by now.") from None
    lines = (f"{name:14} {value}" for name, value in _rehearsed(result))
    return Shown(result.as_json() | {"parts": result.parts}, lines)


def _rehearsed(result: Rehearsal) -> list[tuple[str, object]]:
    more = result.overlaps
    return [
        ("target", result.target),
        ("planned", result.planned),
        *((f"- {reason}", n) for reason, n in result.left_out.items()),
        *((f"{parts} parts", n) for parts, n in result.spread.items()),
        ("billed parts", result.parts),
        ("cost", "-" if result.cost.amount is None else f"{result.cost.amount} {result.currency}"),
        ("pushed", f"{result.pushed} {dict(result.pushed_by)}" if result.pushed else 0),
        ("longest text", result.longest),
        ("will end", moment(result.ends, "UTC")),
        ("queued before", result.ahead),
        ("after the night", result.late),
        *((f"also {item.campaign_id}", f"{item.n} {item.name}") for item in more.also_gets),
        ("same words", more.same_text),
        *((f"cap {cap.days} days", cap.n) for cap in more.caps),
    ]


@command.command("approvals", shows=True)
def approvals() -> Shown:
    """Print what waits for a second person, oldest first: id, run if one is held, digest, messages, amount, name.

    A person has to look at it in the pages: no command approves anything.

    Example: flask campaigns approvals
    """
    items, lines = [], []
    for line in campaign_approvals.waiting_for_approval(ACTOR):
        size = line.estimate
        amount = "" if size.amount is None else f"{size.amount} {size.currency}"
        columns = (line.campaign_id, line.run_id or "", line.short, size.messages, amount, line.name)
        lines.append("\t".join(str(column) for column in columns))
        names = {"campaign_id": line.campaign_id, "name": line.name, "run_id": line.run_id, "digest": line.short}
        items.append(names | {"messages": size.messages, "amount": size.amount, "currency": size.currency})
    return Shown({"items": items}, lines)
