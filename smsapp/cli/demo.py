"""flask demo: fills an empty system, to look at and to try things on."""

from __future__ import annotations

import logging

import click

from smsapp.cli.output import echo
from smsapp.services.demo import shop
from smsapp.services.platform import clock


@click.command("demo")
def command() -> None:
    """Fill an empty system with 20,000 invented people, a simulator channel, templates and campaigns.

    Where there is a contact, a channel or a campaign already, nothing is changed.

    \b
    Example: flask demo
    """
    if not shop.is_empty():
        echo("There is something here already; no demo data was added.")
        return
    # A failed enqueue is not worth a warning here: the sweep finds what the demo leaves waiting.
    logging.getLogger("smsapp").setLevel(logging.ERROR)
    with click.progressbar(length=shop.PEOPLE, label="Inventing people") as bar:
        shop.fill(clock.now(), bar.update)
    echo("Demo data is there: contacts, segments, a simulator channel, templates, campaigns of the last weeks.")
