"""flask backup: one file with everything that is needed to go on elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from smsapp.cli.output import echo, failure, refusing
from smsapp.services.backups import backing_up
from smsapp.services.backups.archive import Manifest
from smsapp.services.platform import clock

PASSPHRASE = "BACKUP_PASSPHRASE"  # noqa: S105 -- the name of a variable
SHORTEST = 12


@click.command("backup")
@click.argument("target", type=click.Path(path_type=Path), default=".")
@click.option("--encrypt", is_flag=True, help=f"With a passphrase: ${PASSPHRASE}, or it is asked for.")
@refusing
def command(target: Path, *, encrypt: bool) -> None:
    """Write a backup to TARGET, a file or a folder, while everything runs.

    It holds the database and the inbox of one moment, uploads whose import has not ended, and what it is a backup of.
    With --encrypt also the keys in the instance folder; without it they must be kept apart, and so must those that
    come from the environment. On PostgreSQL pg_dump must be on PATH.

    \b
    Examples:
      flask backup /backup
      BACKUP_PASSPHRASE=... flask backup /backup --encrypt
    """
    now = clock.now()
    if target.is_dir():
        target = target / backing_up.default_name(now)
    passphrase = _new_passphrase() if encrypt else ""
    try:
        manifest = backing_up.make(target, passphrase, now, report)
    except OSError as error:
        raise failure(f"The backup could not be written to {target}: {error.strerror}.") from None
    _tell(target, manifest, encrypt)


def report(name: str, done: int, size: int) -> None:
    """Show how far it is, on a terminal only."""
    if sys.stderr.isatty():
        share = f"{min(100, 100 * done // size)} %" if size else ""
        sys.stderr.write(f"\r{name} {share}\x1b[K")


def passphrase_of(path: Path) -> str:
    """Return the passphrase of an encrypted backup."""
    return os.environ.get(PASSPHRASE) or str(click.prompt(f"Passphrase of {path.name}", hide_input=True, err=True))


def _new_passphrase() -> str:
    passphrase = os.environ.get(PASSPHRASE) or str(
        click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    )
    if len(passphrase) < SHORTEST:
        raise failure(f"A passphrase has at least {SHORTEST} characters; several words are easy to remember.")
    return passphrase


def _tell(target: Path, manifest: Manifest, encrypted: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    size = target.stat().st_size / (1 << 20)
    echo(f"{target} ({size:.1f} MiB): {manifest.server}, schema {manifest.revision}, {counted(manifest.counts)}.")
    if manifest.has_keys:
        echo("It is encrypted and holds the keys of the instance folder.")
    elif encrypted:
        echo("It is encrypted. The keys come from the environment and are not in it: keep them apart.")
    else:
        echo(
            "It is not encrypted: whoever reads it reads phone numbers. The keys are not in it; keep SECRET_KEY and "
            "ENCRYPTION_KEY (or secret.key and encryption.key of the instance folder) apart."
        )


def counted(counts: dict[str, int]) -> str:
    """Return counts of tables in words."""
    words = {"app_user": "people", "contact": "contacts", "segment": "segments", "campaign": "campaigns", "run": "runs"}
    words["opt_out"] = "opt-outs"
    return ", ".join(f"{n} {words.get(table, table)}" for table, n in counts.items()) or "nothing"
