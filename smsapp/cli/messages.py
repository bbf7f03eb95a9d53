"""flask messages: one text to one person, as programs send it over the HTTP API, and what became of it."""

from __future__ import annotations

import click

from smsapp.cli.ids import LONG_ID, ROW_ID
from smsapp.cli.output import CommandGroup, Shown
from smsapp.domain.phone import mask
from smsapp.domain.single_message import COMMAND
from smsapp.services.campaigns import single_messages
from smsapp.services.campaigns.single_messages import Caller
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("messages", help="Single messages: one text to one person, from an approved template.")
ACTOR = Actor("flask messages")


@command.command("send", shows=True)
@click.argument("user_id")
@click.argument("template_id", type=ROW_ID)
@click.option("--value", "values", multiple=True, metavar="NAME=TEXT", help="Fills a variable; once for each.")
def send(user_id: str, template_id: int, values: tuple[str, ...]) -> Shown:
    """Send one message to a contact and print its id: it is stored then, and planned within a moment.

    Opt-outs and limits count as for every campaign. Marketing is refused.

    Example: flask messages send member-17 3 --value code=482911
    """
    pairs = [value.partition("=") for value in values]
    if wrong := [name for name, equals, _text in pairs if not equals]:
        raise click.BadParameter(f"{wrong[0]}: write NAME=TEXT", param_hint="--value")
    given = {name: text for name, _equals, text in pairs}
    taken = single_messages.send(user_id, template_id, given, Caller(COMMAND), ACTOR, clock.now())
    return Shown({"id": taken.id}, [str(taken.id)])


@command.command("show", shows=True)
@click.argument("message_id", type=LONG_ID)
def show(message_id: int) -> Shown:
    """Print what became of a single message; the exit code is 1 if there is none.

    Example: flask messages show 1764592331482911
    """
    standing = single_messages.state_of(message_id)
    facts = {
        "id": standing.id,
        "state": standing.state,
        "reason": standing.reason or "-",
        "campaign": standing.campaign_id or "-",
        "run": standing.run_id or "-",
        "number": mask(standing.phone) or "-",
        "receipt": standing.receipt_at.isoformat() if standing.receipt_at else "-",
    }
    document = vars(standing) | {"phone": mask(standing.phone)}
    return Shown(document, (f"{name:<10}{value}" for name, value in facts.items()))
