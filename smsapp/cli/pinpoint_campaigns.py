"""flask campaigns import-pinpoint: campaigns of Amazon Pinpoint as drafts."""

from __future__ import annotations

from pathlib import Path

import click

from smsapp.cli.campaigns import ACTOR, command
from smsapp.cli.output import echo, failure
from smsapp.domain.errors import NotFound
from smsapp.labels import sentence
from smsapp.services.campaigns import pinpoint_campaigns
from smsapp.services.channels import accounts
from smsapp.services.platform import clock


@command.command("import-pinpoint")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--channel", "channel_name", default="", help="Drafts are for this channel; texts become its templates.")
@click.option(
    "--segment", "segments", multiple=True, metavar="ID=NAME", help="Which segment here is a SegmentId of Pinpoint."
)
@click.option("--dry-run", is_flag=True, help="Print what would be made, write nothing.")
def import_pinpoint(file: Path, channel_name: str, segments: tuple[str, ...], dry_run: bool) -> None:
    """Make drafts of the SMS campaigns in FILE, what `aws pinpoint get-campaign` or `get-campaigns` printed.

    Nothing is sent: a person completes, reviews and confirms each draft. What has to be chosen is printed for each. A
    campaign that became a draft before is left out.

    \b
    Exit code: 0 every campaign became a draft, 1 the file or an option cannot be used, 3 some were left out.

    \b
    Example:
      aws pinpoint get-campaigns --application-id ID > campaigns.json
      flask campaigns import-pinpoint campaigns.json --channel Overseas --segment b66c9e42=Members
    """
    names = dict(_pair(text) for text in segments)
    try:
        channel_id = accounts.by_name(channel_name).id if channel_name else None
        results = pinpoint_campaigns.take(
            file.read_bytes(), ACTOR, clock.now(), channel_id=channel_id, segment_names=names, dry_run=dry_run
        )
    except NotFound:
        raise failure(
            "There is no channel or segment of this name; `flask channels list`, `flask segments list`."
        ) from None
    made = [result for result in results if result.is_draft]
    for result in results:
        kind = "left out" if not result.is_draft else f"draft {result.campaign_id}" if result.campaign_id else "draft"
        echo(f"{kind}: {result.name}")
        if result.text:
            echo(f"  text: {result.text}")
        for choice in result.choices:
            echo(f"  - {sentence(choice)}")
    echo(f"{len(results)} campaigns: {len(made)} drafts, {len(results) - len(made)} left out.")
    if len(made) < len(results):
        raise click.exceptions.Exit(3)


def _pair(text: str) -> tuple[str, str]:
    known, equals, name = text.partition("=")
    if not equals:
        raise failure(f"“{text}” cannot be read. Write --segment ID=NAME.")
    return known.strip(), name.strip()
