"""flask api-keys: keys with which programs call the HTTP API."""

from __future__ import annotations

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.api_key import PER_MINUTE, Scope
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("api-keys", help="Keys with which programs call the HTTP API under /api/v1.")
ACTOR = Actor("flask api-keys")


@command.command("create", shows=True)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; repeat it. draft: drafts and nothing else. Only with confirm do texts leave.",
)
@click.option("--days", type=int, help="Days until it expires. Without: until it is revoked.")
@click.option("--test", "is_test", is_flag=True, help="It reaches channels of the simulator only.")
@click.option("--sees-numbers", is_flag=True, help="It sees whole phone numbers.")
@click.option("--per-minute", type=int, default=PER_MINUTE, show_default=True, help="Requests a minute.")
def create(
    name: str, scopes: tuple[str, ...], days: int | None, is_test: bool, sees_numbers: bool, per_minute: int
) -> Shown:
    """Make an API key and print it, this once.

    Example: flask api-keys create "Shop" --scope read --scope write --days 365
    """
    chosen = [Scope(scope) for scope in scopes]
    options = {"is_test": is_test, "sees_numbers": sees_numbers}
    new = api_keys.create(name, chosen, ACTOR, clock.now(), days=days, per_minute=per_minute, **options)
    return Shown({"id": new.row.id, "name": new.row.name, "key": new.text}, [new.text])


@command.command("list", shows=True)
def list_() -> Shown:
    """Print all API keys: beginning, state, scopes, when last used, name.

    Example: flask api-keys list
    """
    now, items, lines = clock.now(), [], []
    names = ("id", "name", "is_test", "sees_numbers", "per_minute", "created_at", "expires_at", "last_used_at")
    for row in api_keys.listed():
        state, used = api_keys.state(row, now), "never"
        if row.last_used_at:
            used = row.last_used_at.isoformat(timespec="minutes")
        lines.append(f"{row.shown}…  {state:8}  {row.scopes:18}  {used:22}  {row.name}")
        facts = {"begins_with": row.shown, "state": state, "scopes": row.scopes.split()}
        items.append({name: getattr(row, name) for name in names} | facts)
    return Shown({"items": items}, lines)


@command.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Let an API key count no more, for ever.

    Example: flask api-keys revoke "Shop"
    """
    row = api_keys.revoke(api_keys.named(name).id, ACTOR, clock.now())
    echo(f"{row.name}: revoked")
