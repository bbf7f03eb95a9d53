"""flask campaigns: what is planned, what is being sent; stop what has not begun, decide about what goes on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import click

from smsapp.cli.ids import LONG_ID, ROW_ID
from smsapp.cli.order import ARCHIVED, TAG, add_order
from smsapp.cli.output import CommandGroup, echo, failure
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, NotFound
from smsapp.domain.message import Resolution
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
from smsapp.services.receipts import unconfirmed
from smsapp.services.sending import actions, drift

command = CommandGroup("campaigns", help="Campaigns: list, show, stop, pause, resume, accept, end, and what is due.")
ACTOR = Actor("flask campaigns")
add_order(command, Item.CAMPAIGN, ACTOR, ROW_ID, int, "12")
MOST = 1000


@command.command("list")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Only those of one status.")
@click.option("--keyword", default="", help="Only those whose name holds this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
@TAG
@ARCHIVED
def list_(status: str | None, keyword: str, limit: int, tag: str, archived: bool) -> None:
    """Print campaigns, newest first: id, status, next send (UTC), target, accepted, delivered, name.

    Example: flask campaigns list --status waiting
    """
    wanted = tags.filter_by(Item.CAMPAIGN, tag)
    filters = Wanted(status=Status(status) if status else None, keyword=keyword, tag=wanted, archived=archived)
    listing = campaign_list.listing(filters, clock.now(), limit=limit)
    for line in listing.lines:
        echo(_row(line))
    if listing.older:
        echo(f"There are more; these are the newest {limit}.", err=True)


@command.command("show")
@click.argument("campaign_id", type=ROW_ID)
def show(campaign_id: int) -> None:
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
    for problem in drafts.problems(drafts.draft_of(campaign), clock.now()) if "edit" in line.offered else ():
        facts.append(("lacks", sentence(problem)))
    for name, value in facts:
        echo(f"{name:14} {value}")


@command.command("audience")
@click.argument("campaign_id", type=ROW_ID)
@click.option("--in", "include", multiple=True, required=True, help="A segment's name; may be given several times.")
@click.option("--all", "of_all", is_flag=True, help="Members of all of them; without it, of any.")
@click.option("--not-in", "exclude", multiple=True, help="A segment to leave out; may be given several times.")
def set_audience(campaign_id: int, include: tuple[str, ...], of_all: bool, exclude: tuple[str, ...]) -> None:
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
    if counts is not None:
        excluded = "".join(f", {n:,} {reason}" for reason, n in counts.left_out.items())
        echo(f"{counts.target:,} target users: {counts.planned:,} would get it{excluded}")


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


@command.command("due")
@click.option("--hours", default=48, show_default=True, type=click.IntRange(1, 720), help="How far to look ahead.")
def due(hours: int) -> None:
    """Print what will be sent in the next hours, also what should have begun already: time (UTC), id, name.

    Example: flask campaigns due --hours 24
    """
    for send in campaign_list.upcoming(clock.now(), dt.timedelta(hours=hours), MOST):
        echo(f"{send.fire.at:%Y-%m-%dT%H:%M:%SZ}  {send.campaign.id:>8}  {send.campaign.name}")


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


@command.command("unconfirmed")
@click.option("--campaign", "campaign_id", type=ROW_ID, help="Only those of one campaign.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many runs at most.")
def list_unconfirmed(campaign_id: int | None, limit: int) -> None:
    """Print runs with unconfirmed messages, newest first: run, start (UTC), how many, causes, name.

    Example: flask campaigns unconfirmed --campaign 12
    """
    listing = unconfirmed.listing(clock.now(), campaign_id=campaign_id, limit=limit)
    for line in listing.rows:
        causes = ", ".join(f"{cause or 'unknown'} {n}" for cause, n in sorted(line.causes.items()))
        begun = f"{line.run.started_at:%Y-%m-%dT%H:%M:%SZ}" if line.run.started_at else "-"
        echo(f"{line.run.id:>8}  {begun:20}  {line.n:>9}  {causes}  {line.campaign.name}")
    if listing.next:
        echo(f"There are more; these are the newest {limit} runs.", err=True)


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
