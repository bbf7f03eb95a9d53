"""flask campaigns: what is planned, what is being sent, and stopping what has not begun."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from smsapp.domain.campaign import Status
from smsapp.domain.errors import Outrun, Refusal
from smsapp.services import campaign_list, campaigns, clock
from smsapp.services.campaign_list import Line, Wanted
from smsapp.services.trail import Actor
from smsapp.words import label, sentence
from smsapp.words.campaigns import in_words

command = AppGroup("campaigns", help="Campaigns: list, show, stop, and what is due.")
ACTOR = Actor("flask campaigns")
MOST = 1000


@command.command("list")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Only those of one status.")
@click.option("--keyword", default="", help="Only those whose name holds this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
def list_(status: str | None, keyword: str, limit: int) -> None:
    """Print campaigns, newest first: id, status, next send (UTC), target, accepted, delivered, name.

    Example: flask campaigns list --status waiting
    """
    wanted = Wanted(status=Status(status) if status else None, keyword=keyword)
    found = campaign_list.listing(wanted, clock.now(), limit=limit)
    for line in found.lines:
        click.echo(_row(line))
    if found.older:
        click.echo(f"There are more; these are the newest {limit}.", err=True)


@command.command("show")
@click.argument("campaign_id", type=int)
def show(campaign_id: int) -> None:
    """Print everything about one campaign; the exit code is 1 if there is none.

    Example: flask campaigns show 12
    """
    line = _line(campaign_id)
    campaign, schedule = line.campaign, line.schedule
    facts: list[tuple[str, object]] = [
        ("id", campaign.id),
        ("name", campaign.name),
        ("status", f"{campaign.status} ({label(Status(campaign.status))})"),
        ("segment", line.segment or "-"),
        ("channel", line.channel or "-"),
        ("schedule", f"{in_words(schedule, start=True)} ({schedule.zone})"),
        ("next send", _moment(campaign.next_due_at, schedule.zone)),
        ("created", f"{_moment(campaign.created_at, schedule.zone)} by {line.creator or '-'}"),
    ]
    if line.held or campaign.failure:
        facts.append(("reason", line.held or campaign.failure))
    if line.funnel:
        funnel = line.funnel
        facts += [
            ("target", funnel.target),
            ("effective", funnel.effective),
            ("accepted", funnel.accepted),
            ("delivered", funnel.delivered),
            ("left out", funnel.left_out),
            ("not sent yet", funnel.open),
        ]
    for problem in campaigns.problems(campaigns.draft_of(campaign), clock.now()) if "edit" in line.offered else ():
        facts.append(("lacks", sentence(problem)))
    for name, value in facts:
        click.echo(f"{name:13} {value}")


@command.command("stop")
@click.argument("campaign_id", type=int)
def stop(campaign_id: int) -> None:
    """Stop a campaign that waits for its time; the exit code is 1 if it is too late.

    Example: flask campaigns stop 12
    """
    try:
        campaigns.stop(campaign_id, ACTOR, clock.now())
    except Outrun as outrun:
        raise click.ClickException(
            f"Campaign {campaign_id} is {outrun.problems[0].facts['status']}, not waiting."
        ) from None
    except Refusal:
        raise click.ClickException(f"There is no campaign {campaign_id}.") from None
    click.echo(f"Campaign {campaign_id} was stopped.")


@command.command("due")
@click.option("--hours", default=48, show_default=True, type=click.IntRange(1, 720), help="How far to look ahead.")
def due(hours: int) -> None:
    """Print what will be sent in the next hours, also what should have begun already: time (UTC), id, name.

    Example: flask campaigns due --hours 24
    """
    for one in campaign_list.upcoming(clock.now(), dt.timedelta(hours=hours), MOST):
        click.echo(f"{one.fire.at:%Y-%m-%dT%H:%M:%SZ}  {one.campaign.id:>8}  {one.campaign.name}")


def _line(campaign_id: int) -> Line:
    found = campaign_list.lines([campaign_id])
    if not found:
        raise click.ClickException(f"There is no campaign {campaign_id}.")
    return found[0]


def _row(line: Line) -> str:
    campaign, funnel = line.campaign, line.funnel
    numbers = (funnel.target, funnel.accepted, funnel.delivered) if funnel else ("-",) * 3
    due_at = f"{campaign.next_due_at:%Y-%m-%dT%H:%M:%SZ}" if campaign.next_due_at else "-"
    counted = "  ".join(f"{number:>9}" for number in numbers)
    return f"{campaign.id:>8}  {campaign.status:8}  {due_at:20}  {counted}  {campaign.name}"


def _moment(moment: dt.datetime | None, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds") if moment else "-"
