"""flask segments: what segments there are, and how many contacts are in one now."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from smsapp import labels
from smsapp.cli.output import echo, failure
from smsapp.domain.errors import Refusal
from smsapp.services.contacts import segments
from smsapp.services.platform import clock

command = AppGroup("segments", help="Saved sets of contacts that campaigns are sent to.")


@command.command("list")
def show_all() -> None:
    """Print every segment: members when last computed, kind, campaigns, name.

    \b
    Example: flask segments list
    """
    for line in reversed(segments.listing()):
        segment = line.segment
        size = "-" if segment.size is None else f"{segment.size:,}"
        echo(f"{size:>12}  {segment.kind:<9} {line.campaigns:>4} campaigns  {segment.name}")


@command.command("count")
@click.argument("name")
def count(name: str) -> None:
    """Print how many contacts are in the segment NAME now, and how many each channel reaches.

    \b
    Example: flask segments count "Gold members"
    """
    now = clock.now()
    try:
        segment = segments.named(name)
        size = segments.size(segment, now)
    except Refusal as refusal:
        raise failure(" ".join(labels.sentence(problem) for problem in refusal.problems)) from None
    echo(f"{size:,} members")
    for reach in segments.reach(segments.members(segment, now)):
        echo(f"{reach.counts.planned:,} can be reached through {', '.join(reach.channels)}")
