"""`flask audit`: prove that the audit log is what was written, and export it."""

from __future__ import annotations

import datetime as dt
import json

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.audit_filter import AuditFilter
from smsapp.services.platform import audit_pages, audit_proof, clock
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("audit", help="The audit log: who changed what.")

BY = Actor("flask audit")
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@command.command("verify", shows=True)
@click.option("--expect", "noted", type=(click.IntRange(min=1), str), help="Position and hash noted before.")
def verify(noted: tuple[int, str] | None) -> Shown:
    """Compare every entry with its keyed hash, and with the entry before it.

    Note the last line (position and hash) elsewhere from time to time, and hand the latest one over with --expect:
    the chain itself does not tell whether entries were cut off at its end.

    \b
    Exit code: 0 the log is what was written, 1 the entry at the printed position is missing or was changed.

    \b
    Example:
      flask audit verify --expect 1204 9f2c..
    """
    proof = audit_proof.verify()
    unchained = f"{proof.unchained} entries were written by a version without the chain; nothing proves them."
    first = [unchained] if proof.unchained else []
    document = {"entries": proof.entries, "digest": proof.digest, "unchained": proof.unchained}
    if proof.broken is not None:
        note = f"Broken at position {proof.broken}: the entry is missing or was changed."
        return Shown(document | {"broken_at": proof.broken}, first, [note], code=1)
    if noted is not None and not audit_proof.holds(*noted):
        note = f"Broken at position {noted[0]}: the entry that was noted is not there; the end was cut off."
        return Shown(document | {"broken_at": noted[0]}, first, [note], code=1)
    lines = [*first, f"{proof.entries} entries are what was written.", f"{proof.entries} {proof.digest}"]
    return Shown(document | {"broken_at": None}, lines)


@command.command("export")
@click.option("--from", "since", type=MOMENT, help="The first day or moment (UTC).")
@click.option("--to", "until", type=MOMENT, help="The day or moment (UTC) before which it ends.")
def export(since: dt.datetime | None, until: dt.datetime | None) -> None:
    """Print the entries, oldest first, one JSON object a line; memory does not grow with them.

    \b
    Example:
      flask audit export --from 2026-11-01 --to 2026-12-01 > november.jsonl
    """
    for entry in audit_pages.export(AuditFilter(since=_utc(since), until=_utc(until)), BY, clock.now()):
        echo(json.dumps(entry, ensure_ascii=False))


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.replace(tzinfo=dt.UTC) if moment else None
