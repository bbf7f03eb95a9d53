"""flask calendar: days on which marketing rests."""

from __future__ import annotations

from pathlib import Path

import click

from smsapp.cli.output import CommandGroup, Shown, echo, failure, listed
from smsapp.services.campaigns import calendar_days
from smsapp.services.campaigns.calendar_days import Changed
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("calendar", help="Days on which marketing rests: list, import, restore.", between="\n")
ACTOR = Actor("flask calendar")


@command.command("list", shows=True)
@click.option("--year", type=click.IntRange(2000, 2100), help="Only this year.")
def list_(year: int | None) -> Shown:
    """Print the days in force: date, kind (off or working), name, and whether it is provisional.

    Example: flask calendar list --year 2027
    """
    years = sorted(calendar_days.by_year().items())
    return listed(
        (day for its_year, days in years if year in (None, its_year) for day in days),
        lambda day: {"date": day.date, "kind": day.kind, "name": day.name, "provisional": day.provisional},
        lambda day: f"{day.date}  {day.kind:8}  {day.name}{'  (provisional)' if day.provisional else ''}",
    )


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Replace the years of a CSV file (date, kind, name) or an iCalendar file; the exit code is 1 if it is unreadable.

    Example: flask calendar import holidays-2027.csv
    """
    changed = calendar_days.take_file(file.read_bytes(), ACTOR, clock.now())
    echo(f"{len(changed.file.days)} days of {', '.join(map(str, changed.file.years))} were imported.")
    _print_moved(changed)


@command.command("restore")
@click.argument("year", type=click.IntRange(2000, 2100))
def restore(year: int) -> None:
    """Take a year back to the days that come with the application; the exit code is 1 if it has no others.

    Example: flask calendar restore 2027
    """
    if year not in calendar_days.own_years():
        raise failure(f"{year} has no days of its own.")
    changed = calendar_days.restore(year, ACTOR, clock.now())
    echo(f"{year} has the shipped days again.")
    _print_moved(changed)


def _print_moved(changed: Changed) -> None:
    if changed.moved:
        echo(f"{changed.moved} waiting campaigns are due at another time now.")
    if changed.stopped:
        echo(f"{changed.stopped} campaigns had nothing left to send and were stopped.")
