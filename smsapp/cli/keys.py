"""flask keys: AppKeys by which apps report profiles."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from smsapp import labels
from smsapp.cli.output import echo, failure
from smsapp.domain.errors import Refusal
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = AppGroup("keys", help="AppKeys by which apps report profiles to /up.")
ACTOR = Actor("flask keys")


@command.command("create")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in KeyKind]),
    required=True,
    help="server: for your own servers, writes everything. app, browser: public, only adds what is not there.",
)
@click.option(
    "--property", "properties", multiple=True, help="A property that it may write; repeat it. Without: all of them."
)
def create(name: str, kind: str, properties: tuple[str, ...]) -> None:
    """Make an AppKey and print it.

    Example: flask keys create "Member system" --kind server
    """
    try:
        echo(app_keys.create(name, KeyKind(kind), ACTOR, clock.now(), properties or None).key)
    except Refusal as refusal:
        raise failure(labels.sentence(refusal.problems[0])) from None


@command.command("list")
def list_() -> None:
    """Print all AppKeys: key, kind, state, when last used, name.

    Example: flask keys list
    """
    for row in app_keys.listed():
        used = row.last_used_at.isoformat(timespec="minutes") if row.last_used_at else "never"
        echo(f"{row.key}  {row.kind:7}  {'active' if row.active else 'disabled':8}  {used:22}  {row.name}")


@command.command("disable")
@click.argument("key")
def disable(key: str) -> None:
    """Disable an AppKey: what is reported with it goes to the error list.

    Example: flask keys disable 5f2b7c9e...
    """
    _switch(key, False)


@command.command("enable")
@click.argument("key")
def enable(key: str) -> None:
    """Let a disabled AppKey work again.

    Example: flask keys enable 5f2b7c9e...
    """
    _switch(key, True)


def _switch(key: str, active: bool) -> None:
    try:
        row = app_keys.switch(app_keys.key_of(key).id, active, ACTOR, clock.now())
    except Refusal as refusal:
        raise failure(labels.sentence(refusal.problems[0])) from None
    echo(f"{row.name}: {'active' if active else 'disabled'}")
