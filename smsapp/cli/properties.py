"""flask properties: what is known of contacts, and changes of a property of all of them."""

from __future__ import annotations

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.contact import Type
from smsapp.domain.phone import mask_inside
from smsapp.domain.property_change import Winner
from smsapp.services.contacts import properties
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("properties", help="What is known of contacts: list, rename, retype, merge, remove.")
ACTOR = Actor("flask properties")


@command.command("list", shows=True)
def list_() -> Shown:
    """Print all properties: name, type, who has a value, in how many places it is used, label, what means the same.

    Example: flask properties list
    """
    catalogue = properties.catalogue()
    names, lines = ("name", "type", "label", "held", "used", "doubles"), []
    for line in catalogue.lines:
        share = f"{100 * line.held / catalogue.looked:.1f} %" if catalogue.looked else "-"
        doubles = f"  (same as {', '.join(line.doubles)})" if line.doubles else ""
        lines.append(f"{line.name:24}  {line.type:8}  {share:>7}  {line.used:3}  {line.label}{doubles}")
    if not catalogue.whole:
        lines.append(f"Shares are those of {catalogue.looked} contacts from several places.")
    items = [{name: getattr(line, name) for name in names} for line in catalogue.lines]
    return Shown({"items": items, "contacts_looked_at": catalogue.looked, "whole": catalogue.whole}, lines)


@command.command("show", shows=True)
@click.argument("name")
def show(name: str) -> Shown:
    """Print examples of a property, numbers masked, and what names it.

    Example: flask properties show city
    """
    row = properties.get(name)
    examples, uses = [mask_inside(text) for text in properties.examples(name)], properties.uses(name)
    document = {"name": row.name, "type": row.type, "label": row.label, "examples": examples}
    lines = [f"  {text}" for text in examples] + [f"{use.noun} {use.id}: {use.name}" for use in uses]
    return Shown(
        document | {"uses": [{"noun": use.noun, "id": use.id, "name": use.name} for use in uses]},
        [f"{row.name}  {row.type}  {row.label}", *lines],
    )


@command.command("rename")
@click.argument("name")
@click.argument("label")
def rename(name: str, label: str) -> None:
    """Give a property another label.

    Example: flask properties rename city 城市
    """
    properties.rename(name, label, ACTOR, clock.now())


@command.command("retype")
@click.argument("name")
@click.argument("type_", metavar="TYPE", type=click.Choice([kind.value for kind in Type]))
@click.option("--yes", is_flag=True, help="Do it; without, only what would happen is printed.")
def retype(name: str, type_: str, yes: bool) -> None:
    """Convert all values to another type; those that cannot be are kept as text under another name.

    Example: flask properties retype birthday datetime --yes
    """
    preview = properties.preview_retype(name, Type(type_))
    echo(f"{preview.fit} of {preview.held} values can be converted.")
    for text, _other in preview.examples:
        echo(f"  not: {mask_inside(text)}")
    if yes:
        properties.run(properties.retype(name, Type(type_), ACTOR, clock.now()), clock.now)


@command.command("merge")
@click.argument("name")
@click.argument("target")
@click.option("--wins", type=click.Choice([winner.value for winner in Winner]), default="target", show_default=True)
@click.option("--yes", is_flag=True, help="Do it; without, only what would happen is printed.")
def merge(name: str, target: str, wins: str, yes: bool) -> None:
    """Lay a property into another one; what names it follows.

    Example: flask properties merge name '$name' --yes
    """
    preview = properties.preview_merge(name, target)
    counts = f"{preview.fit} have both, {preview.conflicts} have two different ones"
    echo(f"{preview.held} contacts have a value, {counts}.")
    if yes:
        properties.run(properties.merge(name, target, Winner(wins), ACTOR, clock.now()), clock.now)


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it; without, only what would happen is printed.")
def remove(name: str, yes: bool) -> None:
    """Remove a property and all its values; refused while something names it.

    Example: flask properties remove old_level --yes
    """
    echo(f"{properties.preview_removal(name).held} contacts have a value.")
    if yes:
        properties.run(properties.remove(name, ACTOR, clock.now()), clock.now)
