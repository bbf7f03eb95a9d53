"""flask campaigns unconfirmed, resolve: messages of which nobody knows whether they left."""

from __future__ import annotations

import click

from smsapp.cli.campaigns import ACTOR, command
from smsapp.cli.ids import LONG_ID, ROW_ID
from smsapp.cli.output import Shown, echo, failure
from smsapp.domain.errors import Conflict, NotFound
from smsapp.domain.message import Resolution
from smsapp.services.platform import clock
from smsapp.services.receipts import unconfirmed


@command.command("unconfirmed", shows=True)
@click.option("--campaign", "campaign_id", type=ROW_ID, help="Only those of one campaign.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many runs at most.")
def list_unconfirmed(campaign_id: int | None, limit: int) -> Shown:
    """Print runs with unconfirmed messages, newest first: run, start (UTC), how many, causes, name.

    Example: flask campaigns unconfirmed --campaign 12
    """
    listing = unconfirmed.listing(clock.now(), campaign_id=campaign_id, limit=limit)
    items, lines = [], []
    for line in listing.rows:
        causes = {cause or "unknown": n for cause, n in sorted(line.causes.items())}
        begun = f"{line.run.started_at:%Y-%m-%dT%H:%M:%SZ}" if line.run.started_at else "-"
        causes_text = ", ".join(f"{cause} {n}" for cause, n in causes.items())
        lines.append(f"{line.run.id:>8}  {begun:20}  {line.n:>9}  {causes_text}  {line.campaign.name}")
        names = {"campaign_id": line.campaign.id, "campaign": line.campaign.name, "started_at": line.run.started_at}
        items.append({"run_id": line.run.id, "n": line.n, "causes": causes} | names)
    notes = [f"There are more; these are the newest {limit} runs."] if listing.next else []
    return Shown({"items": items, "more": bool(listing.next)}, lines, notes)


@command.command("resolve")
@click.argument("run_id", type=LONG_ID)
@click.argument("how", type=click.Choice([str(how) for how in Resolution]))
@click.option("--cause", default="", help="Only those unconfirmed for this cause.")
@click.option("--message", "seqs", multiple=True, type=ROW_ID, help="Only this message; may be given several times.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resolve(run_id: int, how: str, cause: str, seqs: tuple[int, ...], yes: bool) -> None:
    """Resolve a run's unconfirmed messages: sent (they count as accepted), resend (once more), or keep them so.

    Example: flask campaigns resolve 31 resend --cause worker_lost
    """
    try:
        with_unconfirmed = unconfirmed.of_run(run_id)
    except NotFound:
        raise failure(f"Nothing of run {run_id} is unconfirmed.") from None
    n = len(seqs) or (with_unconfirmed.causes.get(cause, 0) if cause else with_unconfirmed.n)
    twice = " Whoever got one the first time gets it twice." if how == Resolution.RESEND else ""
    if not yes:
        click.confirm(f"{n} messages of “{with_unconfirmed.campaign.name}”: {how}.{twice} Go on?", abort=True)
    try:
        count = unconfirmed.decide(run_id, Resolution(how), ACTOR, clock.now(), cause=cause, seqs=seqs or None)
    except Conflict:
        raise failure("Nothing of them is unconfirmed any more; nothing was changed.") from None
    echo(f"{count} messages: {how}.")
