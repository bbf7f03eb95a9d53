"""flask sweep: what the scheduler's periodic task of every minute does, by hand or by cron."""

from __future__ import annotations

import click

from smsapp.services import clock, imports, opt_out_confirmations, receipts, sending


@click.command("sweep")
def command() -> None:
    """Start what is due, take up what was lost, read stored callbacks and stranded imports.

    The scheduler does this every minute. With cron in its place, campaigns still start while no scheduler runs.

    \b
    Example: * * * * * flask sweep
    """
    sending.sweep(clock.now())
    imports.sweep(clock.now())
    receipts.apply_callbacks(clock.now())
    receipts.retry_unmatched(clock.now())
    opt_out_confirmations.send_due(clock.now())
