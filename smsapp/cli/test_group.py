"""flask test-group: colleagues who get proofs, and seeds who get one text of every run."""

from __future__ import annotations

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, Shown, echo, listed
from smsapp.domain import phone
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import colleagues

command = CommandGroup("test-group", help="The test group: list, add, seed, remove.")
ACTOR = Actor("flask test-group")


@command.command("list", shows=True)
def list_() -> Shown:
    """Print the test group: id, name, masked number, and whether it is a seed.

    Example: flask test-group list
    """
    return listed(
        colleagues.everybody(),
        lambda one: {"id": one.id, "name": one.name, "phone": phone.mask(one.phone), "is_seed": one.is_seed},
        lambda one: "\t".join((str(one.id), one.name, phone.mask(one.phone), "seed" if one.is_seed else "proofs")),
    )


@command.command("add", shows=True)
@click.argument("name")
@click.argument("number")
@click.option("--seed", is_flag=True, help="Also gets one text of every run.")
def add(name: str, number: str, seed: bool) -> Shown:
    """Add somebody to the test group and print their id.

    Example: flask test-group add 林然 13800138000 --seed
    """
    colleague_id = colleagues.add(name, number, ACTOR, clock.now(), is_seed=seed)
    return Shown({"id": colleague_id}, [str(colleague_id)])


@command.command("seed")
@click.argument("colleague_id", type=ROW_ID)
@click.option("--off", is_flag=True, help="No longer.")
def seed_(colleague_id: int, off: bool) -> None:
    """Let somebody get one text of every run from now on.

    Example: flask test-group seed 3
    """
    colleagues.set_seed(colleague_id, not off, ACTOR, clock.now())
    echo("proofs" if off else "seed")


@command.command("remove")
@click.argument("colleague_id", type=ROW_ID)
def remove(colleague_id: int) -> None:
    """Take somebody out of the test group.

    Example: flask test-group remove 3
    """
    colleagues.remove(colleague_id, ACTOR, clock.now())
    echo("removed")
