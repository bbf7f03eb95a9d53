"""flask campaigns runs, messages, exclusions: what was sent, run by run and row by row."""

from __future__ import annotations

import click

from smsapp.cli.campaigns import command
from smsapp.cli.ids import LONG_ID, ROW_ID
from smsapp.cli.output import Shown, failure, listed
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.recipients import GROUPS, Group, Place, Recipient, group
from smsapp.services.platform import clock
from smsapp.services.reports import recipient_list, reports
from smsapp.shapes import people
from smsapp.shapes import runs as shapes
from smsapp.shapes.sight import Sight

STATES = [name for name, one in GROUPS.items() if one.states and not one.left]
RUN = click.option("--run", "run_id", type=LONG_ID, help="Of one run only; without it, of all.")
AFTER = click.option("--after", default="", help="`next` of the page before.")
FULL = click.option("--full", is_flag=True, help="Print whole numbers instead of masked ones.")


@command.command("runs", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def list_runs(campaign_id: int) -> Shown:
    """Print the runs of a campaign, newest first: id, moment, state, target, planned, accepted, delivered.

    Example: flask campaigns runs 12 --json
    """
    return listed(
        reports.report(campaign_id, None, clock.now()).runs,
        shapes.run,
        lambda line: "\t".join(
            (
                *(str(line.run.id), f"{line.run.slot:%Y-%m-%dT%H:%M:%SZ}", line.run.verdict or line.run.state),
                *(str(getattr(line.funnel, name)) for name in ("target", "planned", "accepted", "delivered")),
            )
        ),
    )


@command.command("messages", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.option("--state", type=click.Choice(STATES), default="planned", show_default=True, help="Only those there.")
@click.option("--reason", default="", help="Only those with this reason.")
@RUN
@AFTER
@FULL
def list_messages(campaign_id: int, state: str, reason: str, run_id: int | None, after: str, full: bool) -> Shown:
    """Print a page of messages: run, position, number, state, reason, the provider's code, user id.

    Example: flask campaigns messages 12 --state undelivered --json
    """
    page = _page(campaign_id, run_id, group(state, reason), after)
    sight = Sight(full)
    names = ("run_id", "position", "phone", "state", "reason", "code", "user_id")
    items = [people.message(recipient, sight) for recipient in page[0]]
    return _listed(items, names, page[1])


@command.command("exclusions", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.option("--reason", type=click.Choice([str(one) for one in ExclusionReason]), default=None, help="Only these.")
@RUN
@AFTER
@FULL
def list_exclusions(campaign_id: int, reason: str | None, run_id: int | None, after: str, full: bool) -> Shown:
    """Print a page of the targeted people who got no message: run, number, reason, user id.

    Example: flask campaigns exclusions 12 --reason opted_out
    """
    page = _page(campaign_id, run_id, group("left_out", reason or ""), after)
    items = [people.exclusion(recipient, Sight(full)) for recipient in page[0]]
    return _listed(items, ("run_id", "phone", "reason", "user_id"), page[1])


def _page(campaign_id: int, run_id: int | None, wanted: Group | None, after: str) -> tuple[list[Recipient], str | None]:
    """Return one page of a group, and the cursor of the next one."""
    if wanted is None:
        raise failure("There is no such reason in this group.")
    anybody = recipient_list.parse_phone_query("")
    page = recipient_list.page(campaign_id, run_id, wanted, anybody, Place.read(after))
    return list(page.rows), str(page.next) if page.next else None


def _listed(items: list[dict[str, object]], names: tuple[str, ...], following: str | None) -> Shown:
    lines = ("\t".join(str(item[name]) for name in names) for item in items)
    notes = [f"There are more: --after {following}"] if following else []
    return Shown({"items": items, "next": following}, lines, notes)
