"""flask keys: AppKeys by which apps report profiles."""

from __future__ import annotations

import datetime as dt

import click

from smsapp import labels
from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.key_undo import KEPT_DAYS
from smsapp.domain.key_watch import Measure
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, key_secrets, key_undo, key_watch
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("keys", help="AppKeys by which apps report profiles to /up.")
ACTOR = Actor("flask keys")


@command.command("create", shows=True)
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
def create(name: str, kind: str, properties: tuple[str, ...]) -> Shown:
    """Make an AppKey and print it.

    Example: flask keys create "Member system" --kind server
    """
    row = app_keys.create(name, KeyKind(kind), ACTOR, clock.now(), properties or None)
    return Shown({"id": row.id, "key": row.key}, [row.key])


@command.command("list", shows=True)
def list_() -> Shown:
    """Print all AppKeys: key, kind, state, when last used, name.

    Example: flask keys list
    """
    names, items, lines = ("id", "key", "name", "kind", "active", "signed_only", "last_used_at"), [], []
    for row in app_keys.listed():
        used = row.last_used_at.isoformat(timespec="minutes") if row.last_used_at else "never"
        lines.append(f"{row.key}  {row.kind:7}  {'active' if row.active else 'disabled':8}  {used:22}  {row.name}")
        items.append({name: getattr(row, name) for name in names})
    return Shown({"items": items}, lines)


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


@command.command("secret")
@click.argument("key")
def secret(key: str) -> None:
    """Make a secret with which a server signs its uploads, and print it; an earlier one is taken for 24 hours more.

    Example: flask keys secret 5f2b7c9e...
    """
    echo(key_secrets.make(app_keys.key_of(key).id, ACTOR, clock.now()))


@command.command("signed")
@click.argument("key")
@click.argument("which", type=click.Choice(["only", "optional"]))
def signed(key: str, which: str) -> None:
    """Say whether an AppKey takes signed uploads only.

    Example: flask keys signed 5f2b7c9e... only
    """
    row = key_secrets.set_signed_only(app_keys.key_of(key).id, which == "only", ACTOR, clock.now())
    echo(f"{row.name}: {'signed uploads only' if row.signed_only else 'unsigned uploads, too'}")


@command.command("hours")
@click.argument("key")
def hours(key: str) -> None:
    """Print what an AppKey brought, hour by hour (UTC), and its alarms.

    Example: flask keys hours 5f2b7c9e...
    """
    row = app_keys.key_of(key)
    for hour in key_watch.hours(row.id, clock.now()):
        parts = [
            f"{measure.value} {', '.join(f'{name} {n}'.strip() for name, n in hour.by_name(measure))}"
            for measure in Measure
            if hour.by_name(measure)
        ]
        echo(f"{hour.at:%Y-%m-%d %H:%M}  {'; '.join(parts)}")
    for alarm in key_watch.alarms(row.id):
        state = "noted" if alarm.noted_at else "ALARM"
        echo(f"{state}  {alarm.hour:%Y-%m-%d %H:%M}  {labels.label(alarm.kind, 'AlarmKind')}: {alarm.n}")


@command.command("undo")
@click.argument("key")
@click.option("--hours", type=click.IntRange(1, 24 * KEPT_DAYS), required=True, help="How many hours back.")
@click.option("--keep-enabled", is_flag=True, help="Do not disable the key first.")
@click.option("--yes", is_flag=True, help="Do it; without it only what it would do is told.")
def undo(key: str, hours: int, keep_enabled: bool, yes: bool) -> None:
    """Undo what an AppKey did in its last hours; what others have changed since stays.

    Example: flask keys undo 5f2b7c9e... --hours 3
    """
    now = clock.now()
    row = app_keys.key_of(key)
    order = key_undo.count(row.id, now - dt.timedelta(hours=hours), ACTOR, now)
    key_undo.run(order.id, clock.now)
    if yes:
        key_undo.carry_out(order.id, row.id, ACTOR, clock.now(), disable=not keep_enabled)
        key_undo.run(order.id, clock.now)
    n = order.counted
    echo(f"{'Undone' if yes else 'An undo would do this'}: {n.contacts} contacts removed, {n.values} values as before,")
    echo(f"{n.restored} erased contacts back, {order.proposals} proposals withdrawn.")
    echo(
        f"These stay: {n.overtaken} values that others changed since, {n.written_to} contacts that were sent something."
    )
    if not yes:
        echo("Nothing was changed. Repeat it with --yes.")


def _switch(key: str, active: bool) -> None:
    row = app_keys.switch(app_keys.key_of(key).id, active, ACTOR, clock.now())
    echo(f"{row.name}: {'active' if active else 'disabled'}")
