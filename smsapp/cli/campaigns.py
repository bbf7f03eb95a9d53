"""flask campaigns: what is planned, what is being sent; stop what has not begun, decide about what goes on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.order import ARCHIVED, TAG, add_order
from smsapp.cli.output import CommandGroup, Shown, echo, failure, listed
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, NotFound
from smsapp.domain.provenance import Provenance
from smsapp.domain.segment import Match
from smsapp.domain.tags import Item
from smsapp.labels import label, sentence
from smsapp.labels.campaigns import in_words
from smsapp.services.campaigns import campaign_list, campaigns, drafts, skipped_dates
from smsapp.services.campaigns.campaign_list import Line, Wanted
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.contacts import segments
from smsapp.services.platform import clock, tags
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import actions, drift
from smsapp.shapes import campaigns as shapes
from smsapp.shapes import runs as run_shapes
from smsapp.shapes.problems import problems
from smsapp.shapes.sight import MASKED

command = CommandGroup("campaigns", help="Campaigns: list, show, stop, pause, resume, accept, end, and what is due.")
ACTOR = Actor("flask campaigns")
add_order(command, Item.CAMPAIGN, ACTOR, ROW_ID, int, "12")
MOST = 1000


@command.command("list", shows=True)
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Only those of one status.")
@click.option("--keyword", default="", help="Only those whose name holds this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
@TAG
@ARCHIVED
def list_(status: str | None, keyword: str, limit: int, tag: str, archived: bool) -> Shown:
    """Print campaigns, newest first: id, status, next send (UTC), target, accepted, delivered, name.

    Example: flask campaigns list --status waiting
    """
    wanted = tags.filter_by(Item.CAMPAIGN, tag)
    filters = Wanted(status=Status(status) if status else None, keyword=keyword, tag=wanted, archived=archived)
    listing = campaign_list.listing(filters, clock.now(), limit=limit)
    notes = [f"There are more; these are the newest {limit}."] if listing.older else []
    items = [_document(line) for line in listing.lines]
    return Shown({"items": items, "more": bool(listing.older)}, map(_row, listing.lines), notes)


def _document(line: Line) -> dict[str, Any]:
    numbers = {"funnel": run_shapes.funnel(line.funnel) if line.funnel else None, "tags": list(line.tags)}
    return shapes.campaign(line.campaign, MASKED) | numbers


@command.command("show", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def show(campaign_id: int) -> Shown:
    """Print everything about one campaign; the exit code is 1 if there is none.

    Example: flask campaigns show 12
    """
    line = line_of(campaign_id)
    campaign, schedule = line.campaign, line.schedule
    look = DraftPreview(drafts.draft_of(campaign), clock.now())
    facts: list[tuple[str, object]] = [
        ("id", campaign.id),
        ("name", campaign.name),
        ("status", f"{campaign.status} ({label(Status(campaign.status))})"),
        ("segment", line.audience.notation or "-"),
        ("channel", line.channel or "-"),
        ("second channel", look.second_channel.name if look.second_channel else "-"),
        ("consented only", "yes" if campaign.consented_only else "no"),
        ("carriers left out", ", ".join(campaign.left_out_carriers) or "-"),
        ("schedule", f"{in_words(schedule, start=True)} ({schedule.zone})"),
        ("tags", ", ".join(line.tags) or "-"),
        *([("archived", moment(campaign.archived_at, schedule.zone))] if line.is_archived else []),
        ("next send", moment(campaign.next_due_at, schedule.zone)),
        ("created", f"{moment(campaign.created_at, schedule.zone)} by {line.creator or '-'}"),
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
            *([("expired", funnel.expired)] if funnel.expired else []),
        ]
    drift_hold = drift.of_run(line.run.id) if line.run else None
    if drift_hold is not None:
        facts += [("reviewed", drift_hold.drift.before), ("now", drift_hold.drift.now)]
        facts += [
            (f"new {prefix}", n)
            for part in (drift_hold.drift.countries, drift_hold.drift.prefixes)
            for prefix, n in part.items()
        ]
        facts.append(("accept with", f"flask campaigns accept {campaign.id} --mark {drift_hold.mark}"))
    lacking = drafts.problems(drafts.draft_of(campaign), clock.now()) if "edit" in line.offered else []
    facts += [("lacks", sentence(problem)) for problem in lacking]
    for part, origin in Provenance.from_json(campaign.provenance).origins.items():
        facts.append(("drafted by", f"{origin.program.key} ({part}, {moment(origin.at, schedule.zone)})"))
    document = _document(line) | {"problems": problems(lacking), "mark": drift_hold.mark if drift_hold else None}
    return Shown(document, (f"{name:14} {value}" for name, value in facts))


@command.command("audience", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.option("--in", "include", multiple=True, required=True, help="A segment's name; may be given several times.")
@click.option("--all", "of_all", is_flag=True, help="Members of all of them; without it, of any.")
@click.option("--not-in", "exclude", multiple=True, help="A segment to leave out; may be given several times.")
def set_audience(campaign_id: int, include: tuple[str, ...], of_all: bool, exclude: tuple[str, ...]) -> Shown:
    """Say whom a draft is for, and print how many would get it; the exit code is 1 if it is no draft.

    Example: flask campaigns audience 12 --in Members --in Guests --not-in "Got the last one"
    """
    campaign = line_of(campaign_id).campaign
    try:
        ids = [tuple(segments.named(name).id for name in names) for names in (include, exclude)]
        rule = AudienceRule(Match.ALL if of_all else Match.ANY, *ids)
        draft = replace(drafts.draft_of(campaign), audience=rule)
        drafts.save(campaign_id, campaign.version, draft, ACTOR, clock.now())
    except Conflict:
        raise failure(f"Campaign {campaign_id} is {campaign.status}, no draft.") from None
    except NotFound:
        raise failure("There is no segment of this name; `flask segments list` has them all.") from None
    counts = DraftPreview(draft, clock.now()).counts
    if counts is None:
        return Shown({"id": campaign_id, "target": None, "planned": None, "excluded": {}})
    excluded = "".join(f", {n:,} {reason}" for reason, n in counts.left_out.items())
    document = {"id": campaign_id, "target": counts.target, "planned": counts.planned, "excluded": counts.left_out}
    return Shown(document, [f"{counts.target:,} target users: {counts.planned:,} would get it{excluded}"])


@command.command("stop")
@click.argument("campaign_id", type=ROW_ID)
def stop(campaign_id: int) -> None:
    """Stop a campaign that waits for its time; the exit code is 1 if it is too late.

    Example: flask campaigns stop 12
    """
    try:
        campaigns.stop(campaign_id, ACTOR, clock.now())
    except Conflict as outrun:
        raise failure(f"Campaign {campaign_id} is {outrun.problems[0].facts['status']}, not waiting.") from None
    except NotFound:
        raise failure(f"There is no campaign {campaign_id}.") from None
    echo(f"Campaign {campaign_id} was stopped.")


@command.command("skip")
@click.argument("campaign_id", type=ROW_ID)
@click.argument("date", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--undo", is_flag=True, help="Send on this date after all.")
def skip(campaign_id: int, date: dt.datetime, undo: bool) -> None:
    """Skip one date of a recurring campaign that waits; the exit code is 1 if it sends nothing then or waits no more.

    Example: flask campaigns skip 12 2026-10-01
    """
    change = skipped_dates.unskip if undo else skipped_dates.skip
    try:
        change(campaign_id, date.date(), ACTOR, clock.now())
    except Conflict:
        raise failure(f"Campaign {campaign_id} is no recurring campaign that waits.") from None
    line = line_of(campaign_id)
    echo(f"The next send of campaign {campaign_id} is {moment(line.campaign.next_due_at, line.schedule.zone)}.")


@command.command("undelete")
@click.argument("campaign_ids", type=ROW_ID, nargs=-1, required=True)
def undelete(campaign_ids: tuple[int, ...]) -> None:
    """Undo the deletion of campaigns within seven days; the exit code is 1 if nothing was undone.

    Example: flask campaigns undelete 12 14
    """
    restored = campaigns.undelete(campaign_ids, ACTOR, clock.now())
    if not restored:
        raise failure("There is no such deletion to undo any more.")
    echo(f"{restored} back.")


@command.command("pause")
@click.argument("campaign_id", type=ROW_ID)
def pause(campaign_id: int) -> None:
    """Hold a campaign that is being sent; every worker obeys within two seconds. Exit code 1 if it is not being sent.

    Example: flask campaigns pause 12
    """
    _to_each_run(campaign_id, actions.pause, "paused")


@command.command("resume")
@click.argument("campaign_id", type=ROW_ID)
def resume(campaign_id: int) -> None:
    """Let a held campaign go on with exactly what has not been sent; the exit code is 1 if it is not held.

    Example: flask campaigns resume 12
    """
    _to_each_run(campaign_id, actions.resume, "going on")


@command.command("end")
@click.argument("campaign_id", type=ROW_ID)
@click.option("--yes", is_flag=True, help="Do not ask.")
def end(campaign_id: int, yes: bool) -> None:
    """Cancel what a campaign has not sent yet, for good; the exit code is 1 if it is over already.

    Example: flask campaigns end 12 --yes
    """
    if not yes:
        click.confirm("What is cancelled cannot be resumed. End it?", abort=True)
    _to_each_run(campaign_id, actions.end, "ended")


def _to_each_run(campaign_id: int, act: Callable[..., None], done: str) -> None:
    """Do it to the campaign's runs that go on, and print how they stand."""
    status = line_of(campaign_id).campaign.status
    try:
        actions.to_each_run(campaign_id, act, ACTOR, clock.now())
    except Conflict:
        raise failure(f"Campaign {campaign_id} ({status}) cannot be {done} now.") from None
    funnel = line_of(campaign_id).funnel
    numbers = (
        f" {funnel.in_flight:,} at the provider, {funnel.queued:,} not sent, {funnel.unconfirmed:,} unconfirmed, "
        f"{funnel.cancelled:,} cancelled."
        if funnel
        else ""
    )
    echo(f"Campaign {campaign_id} is {done}.{numbers}")


@command.command("accept")
@click.argument("campaign_id", type=ROW_ID)
@click.option("--mark", help="The one that `show` prints: accept this audience only. Without it, whatever it is now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept(campaign_id: int, mark: str | None, yes: bool) -> None:
    """Let a campaign that is held because its audience grew go on to the people it has now; exit code 1 if it is not.

    Example: flask campaigns accept 12 --mark 4f1d3c0a9b8e7d6c
    """
    run = line_of(campaign_id).run
    drift_hold = drift.of_run(run.id) if run else None
    if run is None or drift_hold is None:
        raise failure(f"Campaign {campaign_id} is not held because of its audience.")
    if not yes:
        click.confirm(
            f"{drift_hold.drift.before} messages were reviewed, {drift_hold.drift.now} would be sent. Go on?",
            abort=True,
        )
    try:
        accepted = drift.accept(run.id, mark or drift_hold.mark, ACTOR, clock.now())
    except Conflict:
        raise failure("Its audience is another one by now; look again with `flask campaigns show`.") from None
    echo(f"Campaign {campaign_id} goes on with {accepted:,} messages.")


@command.command("due", shows=True)
@click.option("--hours", default=48, show_default=True, type=click.IntRange(1, 720), help="How far to look ahead.")
def due(hours: int) -> Shown:
    """Print what will be sent in the next hours, also what should have begun already: time (UTC), id, name.

    Example: flask campaigns due --hours 24
    """
    return listed(
        campaign_list.upcoming(clock.now(), dt.timedelta(hours=hours), MOST),
        lambda send: {"at": send.fire.at, "id": send.campaign.id, "name": send.campaign.name},
        lambda send: f"{send.fire.at:%Y-%m-%dT%H:%M:%SZ}  {send.campaign.id:>8}  {send.campaign.name}",
    )


def line_of(campaign_id: int) -> Line:
    lines = campaign_list.lines([campaign_id])
    if not lines:
        raise failure(f"There is no campaign {campaign_id}.")
    return lines[0]


def _row(line: Line) -> str:
    campaign, funnel = line.campaign, line.funnel
    numbers = (funnel.target, funnel.accepted, funnel.delivered) if funnel else ("-",) * 3
    due_at = f"{campaign.next_due_at:%Y-%m-%dT%H:%M:%SZ}" if campaign.next_due_at else "-"
    columns = "  ".join(f"{number:>9}" for number in numbers)
    return f"{campaign.id:>8}  {campaign.status:8}  {due_at:20}  {columns}  {campaign.name}"


def moment(at: dt.datetime | None, zone: str) -> str:
    """Return a moment as commands print it."""
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds") if at else "-"
