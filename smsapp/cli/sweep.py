"""flask sweep: the scheduler's task of every minute, by hand or by cron."""

from __future__ import annotations

import click

from smsapp.services.contacts import imports
from smsapp.services.platform import clock
from smsapp.services.privacy import arrivals, erasing
from smsapp.services.receipts import consumer, unmatched_retry
from smsapp.services.sending import opt_out_confirmations, sweeping


@click.command("sweep")
def command() -> None:
    """Start what is due, take up what was lost, read stored callbacks and stranded imports.

    The scheduler does this every minute. With cron in its place, campaigns still start while no scheduler runs.

    \b
    Example: * * * * * flask sweep
    """
    sweeping.sweep(clock.now())
    imports.sweep(clock.now())
    consumer.apply_callbacks(clock.now())
    unmatched_retry.retry(clock.now())
    opt_out_confirmations.send_due(clock.now())
    erasing.erase_people(clock.now)
    arrivals.redact(clock.now())
