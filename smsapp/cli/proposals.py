"""flask proposals: what public AppKeys would change."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from smsapp import labels
from smsapp.cli.output import echo, failure
from smsapp.domain.errors import Refusal
from smsapp.services.apps import app_keys
from smsapp.services.contacts import proposals
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = AppGroup("proposals", help="Changes of values that are set, as public AppKeys propose them.")
ACTOR = Actor("flask proposals")


@command.command("list")
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", default="", help="Only those for this property.")
def list_(key: str, name: str) -> None:
    """Print the newest proposals, without their values: number, time, property, key, user id.

    Example: flask proposals list --property city
    """
    for row in proposals.page(_chosen(key, name)).rows:
        one = row.proposal
        echo(
            f"{one.id:8}  {one.at.isoformat(timespec='minutes')}  {one.name:24}  {row.key.name:24}  {row.contact.xwho}"
        )


@command.command("accept")
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", required=True, help="Those for this property.")
def accept(key: str, name: str) -> None:
    """Accept all proposals for a property that wait now.

    Example: flask proposals accept --property city
    """
    chosen = _chosen(key, name)
    decided = proposals.accept_all(chosen, proposals.latest(chosen), ACTOR, clock.now())
    echo(f"{decided.accepted} accepted, {decided.overtaken} changed meanwhile, {decided.dropped} without purpose")


@command.command("reject")
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", default="", help="Only those for this property.")
def reject(key: str, name: str) -> None:
    """Reject all proposals of a key, or for a property, or all there are.

    Example: flask proposals reject --key 5f2b7c9e...
    """
    chosen = _chosen(key, name)
    echo(f"{proposals.reject_all(chosen, proposals.latest(chosen), ACTOR, clock.now())} rejected")


def _chosen(key: str, name: str) -> Chosen:
    try:
        return Chosen(app_keys.key_of(key).id if key else None, name)
    except Refusal as refusal:
        raise failure(labels.sentence(refusal.problems[0])) from None
