"""flask segments: what segments there are, how many contacts are in one now; new ones from a rule or a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TextIO

import click
import orjson

from smsapp.cli.ids import LONG_ID, ROW_ID
from smsapp.cli.order import ARCHIVED, TAG, add_order
from smsapp.cli.output import CommandGroup, Shown, failure, listed
from smsapp.domain import segment_reader
from smsapp.domain.errors import NotFound
from smsapp.domain.recipients import GROUPS
from smsapp.domain.recipients import group as recipient_group
from smsapp.domain.segment import Kind
from smsapp.domain.tags import Item
from smsapp.services.contacts import segments, uploaded_lists
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import saved_groups
from smsapp.shapes import setup
from smsapp.shapes.json_text import json_text
from smsapp.shapes.sight import MASKED

if TYPE_CHECKING:
    from smsapp.store.contacts.segments import Segment

command = CommandGroup("segments", help="Saved sets of contacts that campaigns are sent to.")
ACTOR = Actor("flask segments")
add_order(command, Item.SEGMENT, ACTOR, str, lambda name: segments.named(name).id, '"Gold members"')


@command.command("list", shows=True)
@TAG
@ARCHIVED
def show_all(tag: str, archived: bool) -> Shown:
    """Print every segment: members when last computed, kind, campaigns, name.

    \b
    Example: flask segments list
    """
    return listed(
        reversed(segments.listing(tag=tag, archived=archived)),
        lambda line: setup.segment(line.segment, MASKED) | {"campaigns": line.campaigns},
        lambda line: (
            f"{_size(line.segment):>12}  {line.segment.kind:<9} {line.campaigns:>4} campaigns  {line.segment.name}"
        ),
    )


def _size(segment: Segment) -> str:
    return "-" if segment.size is None else f"{segment.size:,}"


@command.command("show", shows=True)
@click.argument("name")
def show(name: str) -> Shown:
    """Print the segment NAME with its rule, numbers masked.

    Example: flask segments show "Gold members"
    """
    document = setup.segment(segments.named(name), MASKED)
    return Shown(document, (f"{name:14} {json_text(value)}" for name, value in document.items()))


@command.command("count", shows=True)
@click.argument("name")
def count(name: str) -> Shown:
    """Print how many contacts are in the segment NAME now, and how many each channel reaches.

    \b
    Example: flask segments count "Gold members"
    """
    now = clock.now()
    segment = segments.named(name)
    size = segments.size(segment, now)
    reaches = segments.reach(segments.members(segment, now))
    lines = [f"{reach.counts.planned:,} can be reached through {', '.join(reach.channels)}" for reach in reaches]
    document = {"id": segment.id, "count": size, "reach": [setup.reach(reach) for reach in reaches]}
    return Shown(document, [f"{size:,} members", *lines])


@command.command("create", shows=True)
@click.argument("name")
@click.argument("rule", type=click.File("rb"))
@click.option("--static", is_flag=True, help="Compute the members once, now.")
def create(name: str, rule: BinaryIO, static: bool) -> Shown:
    """Store a new segment NAME with the rule in the file RULE (JSON; - reads standard input).

    A condition asks for a property, or for what was sent and answered ("ledger").

    \b
    Example: echo '{"match": "all", "children": [{"ledger": "not_received", "params": ["12"]}]}' |
             flask segments create "Not reached" -
    """
    kind = Kind.STATIC if static else Kind.DYNAMIC
    try:
        group = segment_reader.from_json(orjson.loads(rule.read()))
        segment = segments.create(name, kind, group, by=ACTOR, now=clock.now())
    except orjson.JSONDecodeError:
        raise failure("This is no JSON.") from None
    return _made(segment)


def _made(segment: Segment) -> Shown:
    return Shown(setup.segment(segment, MASKED), [f"{segment.size or 0:,} members"])


@command.command("from-ids", shows=True)
@click.argument("name")
@click.argument("file", type=click.File())
def create_from_ids(name: str, file: TextIO) -> Shown:
    """Store the contacts with the user ids in FILE, one a line (- reads standard input), as the segment NAME.

    \b
    Example: flask segments from-ids "Winners" winners.txt
    """
    user_ids = [line.strip() for line in file if line.strip()]
    return _made(uploaded_lists.store_ids(name, user_ids, file.name, by=ACTOR, now=clock.now()))


@command.command("recompute", shows=True)
@click.argument("name")
def recompute(name: str) -> Shown:
    """Compute a static segment's members anew; count a dynamic one's.

    Example: flask segments recompute "Gold members"
    """
    return _made(segments.recompute(segments.named(name).id, by=ACTOR, now=clock.now()))


@command.command("remove", shows=True)
@click.argument("name")
def remove(name: str) -> Shown:
    """Remove a segment that no unfinished campaign needs.

    Example: flask segments remove "Gold members"
    """
    segments.delete(segments.named(name).id, by=ACTOR, now=clock.now())
    return Shown({"deleted": True}, ["removed"])


@command.command("save", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.argument("group", type=click.Choice([*GROUPS]))
@click.argument("name")
@click.option("--run", "run_id", type=LONG_ID, help="Of one run only; without it, of all runs together.")
@click.option("--reason", default="", help="Only those with this reason.")
def save(campaign_id: int, group: str, name: str, run_id: int | None, reason: str) -> Shown:
    """Store the people behind a number of a campaign's report as the static segment NAME.

    \b
    Example: flask segments save 12 undelivered "Not reached" --reason switched_off
    """
    people = recipient_group(group, reason)
    if people is None:
        raise failure(f"There is no reason “{reason}” in this group.")
    try:
        segment = saved_groups.save(campaign_id, run_id, people, name, ACTOR, clock.now())
    except NotFound:
        raise failure("There is no such campaign or run.") from None
    return _made(segment)
