"""flask proposals: what public AppKeys would change."""

from __future__ import annotations

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.services.apps import app_keys
from smsapp.services.contacts import proposals
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("proposals", help="Changes of values that are set, as public AppKeys propose them.")
ACTOR = Actor("flask proposals")


@command.command("list", shows=True)
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", default="", help="Only those for this property.")
def list_(key: str, name: str) -> Shown:
    """Print the newest proposals, without their values: number, time, property, key, user id.

    Example: flask proposals list --property city
    """
    items, lines = [], []
    for row in proposals.page(_filter(key, name)).rows:
        proposal = row.proposal
        moment = proposal.at.isoformat(timespec="minutes")
        lines.append(f"{proposal.id:8}  {moment}  {proposal.name:24}  {row.key.name:24}  {row.contact.xwho}")
        facts = {"id": proposal.id, "at": proposal.at, "property": proposal.name}
        items.append(facts | {"key": row.key.name, "user_id": row.contact.xwho})
    return Shown({"items": items}, lines)


@command.command("accept")
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", required=True, help="Those for this property.")
def accept(key: str, name: str) -> None:
    """Accept all proposals for a property that wait now.

    Example: flask proposals accept --property city
    """
    filters = _filter(key, name)
    result = proposals.accept_all(filters, proposals.latest(filters), ACTOR, clock.now())
    echo(f"{result.accepted} accepted, {result.overtaken} changed meanwhile, {result.dropped} without purpose")


@command.command("reject")
@click.option("--key", default="", help="Only those of this AppKey.")
@click.option("--property", "name", default="", help="Only those for this property.")
def reject(key: str, name: str) -> None:
    """Reject all proposals of a key, or for a property, or all there are.

    Example: flask proposals reject --key 5f2b7c9e...
    """
    filters = _filter(key, name)
    echo(f"{proposals.reject_all(filters, proposals.latest(filters), ACTOR, clock.now())} rejected")


def _filter(key: str, name: str) -> Chosen:
    return Chosen(app_keys.key_of(key).id if key else None, name)
