"""flask webhooks: where events are sent, and what came of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, Shown, echo, listed
from smsapp.domain.webhook import OFFERED
from smsapp.services.apps import webhooks
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

if TYPE_CHECKING:
    from smsapp.store.apps.webhooks import Webhook

command = CommandGroup("webhooks", help="Programs that hear of events.")
ACTOR = Actor("flask webhooks")
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@command.command("list", shows=True)
def list_() -> Shown:
    """Print the webhooks: id, state, when an event was last taken, host, name.

    Example: flask webhooks list
    """
    return listed(webhooks.listed(), _document, _line)


def _document(row: Webhook) -> dict[str, Any]:
    shown = {"id": row.id, "name": row.name, "state": _state(row), "host": webhooks.host(row), "events": row.kinds}
    return shown | {"delivered_at": row.delivered_at, "failing_since": row.failing_since}


def _line(row: Webhook) -> str:
    taken = row.delivered_at.isoformat(timespec="seconds") if row.delivered_at else "never"
    return "\t".join((str(row.id), _state(row), taken, webhooks.host(row), row.name))


def _state(row: Webhook) -> str:
    return "off" if not row.active else "failing" if row.failing_since else "on"


@command.command("add", shows=True)
@click.argument("name")
@click.argument("url")
@click.option(
    "--event",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in OFFERED]),
    help="A kind of event that it hears of; repeat it. Without: all of them.",
)
def add(name: str, url: str, kinds: tuple[str, ...]) -> Shown:
    """Make a webhook; print its id and its secret, which is shown this once.

    Example: flask webhooks add "Order system" https://orders.example/sms --event run.finished --event opt_out.added
    """
    row, secret = webhooks.create(name, url, kinds or OFFERED, ACTOR, clock.now())
    return Shown({"id": row.id, "secret": secret}, [f"{row.id}\t{secret}"])


@command.command("switch")
@click.argument("webhook_id", type=ROW_ID)
@click.argument("state", type=click.Choice(["on", "off"]))
def switch(webhook_id: int, state: str) -> None:
    """Switch a webhook on or off. While it is off, it does not hear of what happens.

    Example: flask webhooks switch 2 off
    """
    webhooks.switch(webhook_id, state == "on", ACTOR, clock.now())


@command.command("remove")
@click.argument("webhook_id", type=ROW_ID)
def remove(webhook_id: int) -> None:
    """Remove a webhook, its log and what waits for it.

    Example: flask webhooks remove 2
    """
    webhooks.remove(webhook_id, ACTOR, clock.now())


@command.command("test")
@click.argument("webhook_id", type=ROW_ID)
def test(webhook_id: int) -> None:
    """Send a test event to a webhook.

    Example: flask webhooks test 2
    """
    webhooks.try_out(webhook_id, ACTOR, clock.now())


@command.command("log", shows=True)
@click.argument("webhook_id", type=ROW_ID)
def log(webhook_id: int) -> Shown:
    """Print what was sent to a webhook, newest first: time, event, its id, state, tries, status or code.

    Example: flask webhooks log 2
    """
    row = webhooks.row(webhook_id)
    names = ("at", "kind", "id", "state", "tries", "status", "code")
    rows = [
        (event.at, event.kind, f"msg_{event.uid}", delivery.state, delivery.tries, delivery.status, delivery.code)
        for delivery, event in webhooks.log(row.id).rows
    ]
    return listed(
        rows,
        lambda values: dict(zip(names, values, strict=True)),
        lambda values: "\t".join((values[0].isoformat(), *map(str, values[1:5]), str(values[5] or values[6] or "-"))),
    )


@command.command("send-since")
@click.argument("webhook_id", type=ROW_ID)
@click.argument("moment", type=MOMENT)
def send_since(webhook_id: int, moment: dt.datetime) -> None:
    """Send everything anew that has happened since MOMENT (UTC), in its order and with the same ids.

    Example: flask webhooks send-since 2 2026-11-29T18:00:00
    """
    n = webhooks.send_since(webhook_id, moment.replace(tzinfo=dt.UTC), ACTOR, clock.now())
    echo(f"{n} events are sent again.")
