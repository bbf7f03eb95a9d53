"""`tag`, `archive` and `restore` of flask campaigns, segments and templates: one command each for the three nouns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from smsapp.cli.output import CommandGroup, echo
from smsapp.domain.errors import Refusal
from smsapp.domain.tags import Item, key
from smsapp.labels import sentence
from smsapp.services.campaigns import archiving
from smsapp.services.platform import clock, tags
from smsapp.services.platform.audit_log import Actor

TAG = click.option("--tag", default="", help="Only those with this tag.")
ARCHIVED = click.option("--archived", is_flag=True, help="Those in the archive, which are left out else.")


def add_order(
    command: CommandGroup, item: Item, actor: Actor, argument: Any, id_of: Callable[[Any], int], example: str
) -> None:
    """Add the three commands to a noun; `argument` is the type by which one is named, `id_of` gives its id."""
    noun = {"sms_template": "template"}.get(item.value, item.value)
    usage = f"\b\nExample: flask {command.name}"

    @command.command(
        "tag", help=f"Print the tags of a {noun}, after adding and taking some.\n\n{usage} tag {example} --add VIP"
    )
    @click.argument("which", metavar=noun.upper(), type=argument)
    @click.option("--add", "added", multiple=True, help="A tag to add; may be given several times.")
    @click.option("--take", "taken", multiple=True, help="A tag to take away; may be given several times.")
    def tag(which: Any, added: tuple[str, ...], taken: tuple[str, ...]) -> None:
        item_id = id_of(which)
        archiving.name_of(item, item_id)
        gone = {key(name) for name in taken}
        before = tags.of(item, item_id)
        names = [name for name in (*before, *added) if key(name) not in gone]
        tags.change(item, item_id, names, actor, clock.now(), seen=before)
        for name in tags.of(item, item_id):
            echo(name)

    @command.command(
        "archive",
        help=f"Take {noun}s out of lists and choices; reports stay. Exit code 1 if one cannot be.\n\n"
        f"{usage} archive {example}",
    )
    @click.argument("which", metavar=noun.upper(), type=argument, nargs=-1, required=True)
    def archive(which: tuple[Any, ...]) -> None:
        refused = False
        for item_id in map(id_of, which):
            try:
                archiving.archive(item, item_id, actor, clock.now())
            except Refusal as refusal:
                refused = True
                echo(" ".join(map(sentence, refusal.problems)), err=True)
            else:
                echo(f"“{archiving.name_of(item, item_id)}” is archived.")
        raise SystemExit(refused)

    @command.command("restore", help=f"Bring archived {noun}s back.\n\n{usage} restore {example}")
    @click.argument("which", metavar=noun.upper(), type=argument, nargs=-1, required=True)
    def restore(which: tuple[Any, ...]) -> None:
        restored = archiving.restore(item, map(id_of, which), actor, clock.now())
        echo(f"{restored} back.")
