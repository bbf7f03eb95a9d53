"""flask schedule: when a schedule would send, by the function that the scheduler itself uses."""

from __future__ import annotations

import datetime as dt

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, Shown, failure
from smsapp.domain.errors import NotFound
from smsapp.domain.schedule import LAST_DAY, Fire, Kind, Schedule, known_zone, planned_fires
from smsapp.labels import label
from smsapp.labels.campaigns import in_words
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.platform import calendar, clock

command = CommandGroup("schedule", help="Schedules: when they send.")
DATE = click.DateTime(["%Y-%m-%d"])


def _time(_context: click.Context, _option: click.Parameter, raw: str) -> dt.time:
    try:
        return dt.time.fromisoformat(raw).replace(microsecond=0, tzinfo=None)
    except ValueError:
        raise click.BadParameter("write it like 09:30 or 09:30:15") from None


def _days(_context: click.Context, _option: click.Parameter, raw: str) -> tuple[int, ...]:
    """Return days from text such as 1,4,last."""
    words = [word.strip() for word in raw.split(",") if word.strip()]
    if not all(word == "last" or word.isdigit() for word in words):
        raise click.BadParameter("write numbers, for example 1,4 (and last, for the last day of the month)")
    return tuple(sorted({LAST_DAY if word == "last" else int(word) for word in words}))


def _zone(_context: click.Context, _option: click.Parameter, raw: str) -> str:
    if raw and not known_zone(raw):
        raise click.BadParameter(f"there is no zone {raw}")
    return raw


@command.command("preview", shows=True)
@click.argument("campaign_id", type=ROW_ID, required=False)
@click.option("--kind", type=click.Choice([str(kind) for kind in Kind if kind is not Kind.NOW]), default="daily")
@click.option("--time", callback=_time, default="09:00", show_default=True, help="Local time of day.")
@click.option("--days", callback=_days, default="", help="Weekly: 1 (Monday) to 7. Monthly: 1 to 31 and last.")
@click.option("--start", type=DATE, help="First possible date; today if left out.")
@click.option("--end", type=DATE, help="Last possible date.")
@click.option("--zone", callback=_zone, default="", help="IANA zone; the product's if left out.")
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many sends.")
def preview(
    campaign_id: int | None,
    kind: str,
    time: dt.time,
    days: tuple[int, ...],
    start: dt.datetime | None,
    end: dt.datetime | None,
    zone: str,
    count: int,
) -> Shown:
    """Print the next sends of a campaign, or of a schedule given by options: local time, UTC, what is unusual.

    Example: flask schedule preview --kind monthly --days 15,last --time 09:30 --zone Europe/Berlin
    """
    now = clock.now()
    if campaign_id is not None:
        try:
            schedule = drafts.draft_of(campaigns.get(campaign_id)).schedule
        except NotFound:
            raise failure(f"There is no campaign {campaign_id}.") from None
    else:
        most = {Kind.WEEKLY: 7, Kind.MONTHLY: 31}.get(Kind(kind), 0)
        if bool(days) != bool(most) or any(day != LAST_DAY and not 1 <= day <= most for day in days):
            raise click.UsageError("--days goes with weekly (1 to 7) and monthly (1 to 31, last), and only with them.")
        blank = drafts.blank().schedule
        schedule = Schedule(
            kind=Kind(kind),
            zone=zone or blank.zone,
            time=time,
            start=start.date() if start else now.date(),
            end=end.date() if end else None,
            weekdays=days if kind == Kind.WEEKLY else (),
            monthdays=days if kind == Kind.MONTHLY else (),
        )
    fires = planned_fires(schedule, now, count, calendar.rest_days())
    items = [{"at": fire.at, "local": fire.local, "notes": list(fire.notes)} for fire in fires]
    first = f"{in_words(schedule, start=True)} ({schedule.zone})"
    return Shown({"schedule": schedule.as_json(), "items": items}, [first, *map(_line, fires)])


def _line(fire: Fire) -> str:
    notes = "  ".join(label(note) for note in fire.notes)
    local = fire.local.strftime("%Y-%m-%d %a %H:%M:%S%z")
    return f"{local}  {fire.at:%Y-%m-%dT%H:%M:%SZ}  {notes}".rstrip()
