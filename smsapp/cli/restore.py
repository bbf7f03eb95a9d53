"""flask restore: put a backup back; whatever may have been sent since waits for a person."""

from __future__ import annotations

import os
from pathlib import Path

import click
import flask_migrate

from config import Config
from smsapp.cli import serve
from smsapp.cli.backup import counted, passphrase_of, report
from smsapp.cli.output import echo, failure, refusing
from smsapp.services.backups import archive, restoring
from smsapp.services.backups.restoring import Unpacked
from smsapp.services.platform import clock
from smsapp.services.sending import recovery
from smsapp.services.sending.recovery import Recovery


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes-replace", is_flag=True, help="Replace a database that is not empty.")
@click.option("--check", is_flag=True, help="Read and check the backup, say what would be done, and do nothing.")
@refusing
def command(file: Path, *, yes_replace: bool, check: bool) -> None:
    """Put the backup FILE back, once it was read and checked whole. Stop everything first.

    The schema is upgraded if this version is newer. Runs that may have been sent since wait for a person; opt-outs,
    people and AppKeys that were shut out since are shut out again, as far as the journal in the instance folder tells.

    \b
    Examples:
      flask restore /backup/smsapp-20261130-020000.backup --check
      flask restore /backup/smsapp-20261130-020000.backup --yes-replace
    """
    config = Config.read(os.environ)
    passphrase = passphrase_of(file) if archive.needs_passphrase(file) else ""
    with serve.only_one(config), restoring.unpacked(file, passphrase, report) as backup:
        _tell_plan(backup)
        if check:
            return
        restoring.refuse_if_running()
        if backup.is_filled and not yes_replace:
            raise failure("The present database would be replaced; say --yes-replace if that is what you want.")
        aside = restoring.put_in_place(backup, clock.now(), report)
    flask_migrate.upgrade()
    done = recovery.check(clock.now())
    if aside is not None:
        echo(f"What was there before lies in {aside}; delete it once you are sure: it holds phone numbers.")
    _tell_recovery(done)


def _tell_plan(backup: Unpacked) -> None:
    manifest = backup.manifest
    echo(f"Backup of {manifest.made_at} by version {manifest.version}: {manifest.server}, schema {manifest.revision}.")
    echo(f"It holds {counted(manifest.counts)}{', and the keys' if manifest.has_keys else ''}; it was read whole.")
    echo(f"It replaces {counted(backup.present)}." if backup.is_filled else "There is nothing to be replaced.")
    behind = backup.journal_at - manifest.generation
    if not backup.journal_at:
        echo("No journal is here to tell what was sent since: everything under way will wait for a person.")
    elif behind > 0:
        echo(f"The journal tells of {behind} steps since: what they claimed is not sent again; runs wait for a person.")
    else:
        echo("The journal tells of nothing since.")


def _tell_recovery(done: Recovery | None) -> None:
    if done is None:
        echo("Restored. Nothing was sent since the backup; everything goes on.")
        return
    echo(
        f"Restored. {done.held} runs wait for a person; {done.unconfirmed} messages that were claimed since are "
        f"unconfirmed; {done.opt_outs} opt-outs, {done.people} people and {done.app_keys} AppKeys are shut out again; "
        f"{done.callbacks} callbacks are read once more; everybody has to sign in again."
    )
    if done.blind:
        echo("Nothing tells what was sent since. Look at the provider before you resume or end a run.")
    if done.locked_numbers:
        echo(f"{done.locked_numbers} entries with opt-outs do not open with the present ENCRYPTION_KEY.", err=True)
