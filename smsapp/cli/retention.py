"""flask retention: remove the single messages of old runs by hand; the numbers stay."""

from __future__ import annotations

import click

from smsapp.cli.output import echo
from smsapp.services.platform import clock
from smsapp.services.sending import retention


@click.command("retention")
@click.option("--months", type=click.IntRange(1, 240), help="Keep so many months; default: the setting MESSAGE_MONTHS.")
def command(months: int | None) -> None:
    """Remove the messages and exclusions of runs that ended long ago; a periodic task does so four times a day.

    Campaigns, runs and their numbers stay. On PostgreSQL whole partitions of 1,000 runs go, once all of them are old.

    \b
    Example: flask retention --months 12
    """
    forgotten = retention.forget_messages(clock.now(), months)
    echo(f"The single messages of {len(forgotten)} runs were removed.")
