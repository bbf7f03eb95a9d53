"""flask demo: fills an empty system, to look at and to try things on."""

from __future__ import annotations

import logging

import click

from smsapp.cli.output import echo, failure, refusing
from smsapp.domain.errors import NotFound
from smsapp.services.demo import removal, shop
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor


@click.command("demo")
@click.option("--remove", is_flag=True, help="Remove what the demo made, and nothing else.")
@refusing
def command(*, remove: bool) -> None:
    """Fill an empty system with 20,000 invented people, a simulator channel, templates and campaigns.

    Where there is a contact, a channel or a campaign already, nothing is changed.

    \b
    Example: flask demo
    """
    if remove:
        _remove()
        return
    if not shop.is_empty():
        echo("There is something here already; no demo data was added.")
        return
    # A failed enqueue is not worth a warning here: the sweep finds what the demo leaves waiting.
    logging.getLogger("smsapp").setLevel(logging.ERROR)
    with click.progressbar(length=shop.PEOPLE, label="Inventing people") as bar:
        shop.fill(clock.now(), bar.update)
    echo("Demo data is there: contacts, segments, a simulator channel, templates, campaigns of the last weeks.")


def _remove() -> None:
    try:
        remaining = removal.remove(Actor("flask demo"), clock.now())
    except NotFound:
        raise failure("There is no demo data here.") from None
    echo(f"The demo data was removed; {remaining} entries that something else uses stay.")
