"""flask retention: remove the single messages of old runs by hand, or see what would go; the numbers stay."""

from __future__ import annotations

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.services.platform import clock
from smsapp.services.privacy import retention as rules
from smsapp.services.sending import retention


@click.group("retention", cls=CommandGroup, invoke_without_command=True)
@click.option("--months", type=click.IntRange(1, 240), help="Keep so many months; default: the setting MESSAGE_MONTHS.")
@click.pass_context
def command(context: click.Context, months: int | None) -> None:
    """Remove the messages and exclusions of runs that ended long ago; a periodic task does so four times a day.

    Campaigns, runs and their numbers stay. On PostgreSQL whole partitions of 1,000 runs go, once all of them are old.

    \b
    Example: flask retention --months 12
             flask retention preview
    """
    if context.invoked_subcommand is not None:
        return
    forgotten = retention.forget_messages(clock.now(), months)
    echo(f"The single messages of {len(forgotten)} runs were removed.")


@command.command("preview", shows=True)
def preview() -> Shown:
    """Print what would go now: table, how long it is kept and by which setting, rows, the oldest date.

    Example: flask retention preview
    """
    items, lines = [], []
    for line in rules.preview(clock.now()):
        days = None if line.kept_for is None else line.kept_for.days
        kept_for = "for ever" if days is None else f"{days} days"
        rows = f"{line.rows}{'' if line.is_all_counted else ' or more'}"
        since = f", oldest {line.oldest:%Y-%m-%d}" if line.oldest else ""
        lines.append(f"{line.rule.table:18}  {kept_for:10}  {line.rule.setting or '-':15}  {rows} rows{since}")
        facts = {"table": line.rule.table, "setting": line.rule.setting, "kept_days": days, "oldest": line.oldest}
        items.append(facts | {"rows": line.rows, "is_all_counted": line.is_all_counted})
    return Shown({"items": items}, lines)


@command.command("purge")
def purge() -> None:
    """Remove what the preview shows; a periodic task does so four times a day.

    Example: flask retention purge
    """
    for table, n in rules.purge(clock.now()).items():
        echo(f"{table:18}  {n} removed")
