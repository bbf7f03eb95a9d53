"""flask templates: SMS templates from files, and what there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.order import ARCHIVED, TAG, add_order
from smsapp.cli.output import CommandGroup, Shown, echo, fail_as_json, is_json, listed
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.sms_template import Audit, Purpose
from smsapp.domain.tags import Item
from smsapp.labels import label, sentence
from smsapp.labels import sms_templates as words
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates, template_imports, template_sync
from smsapp.services.templates.template_imports import ImportResult
from smsapp.services.templates.template_sync import SyncResult
from smsapp.shapes import setup
from smsapp.shapes.json_text import json_text

if TYPE_CHECKING:
    from smsapp.store.sms_templates import SmsTemplate

command = CommandGroup("templates", help="SMS templates: texts that the provider of a channel has approved.")
ACTOR = Actor("flask templates")
add_order(command, Item.TEMPLATE, ACTOR, ROW_ID, int, "3")

SOME_REFUSED, UNUSABLE = 1, 2


@command.command("import", shows=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--channel", "channel_name", required=True, help="Name of the channel the templates belong to.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
def import_(file: Path, channel_name: str, dry_run: bool) -> Shown:
    """Add and change the templates of a channel as FILE (CSV, XLSX, JSON, YAML) says.

    Columns, in English or Chinese; only the text is needed: code 模板编号, name 名称, text 内容, signature 签名,
    purpose 类型 (marketing, notification, verification), status 审核状态 (pending, approved, refused), reason 原因.

    Templates are known by their code, so the same file again changes nothing. Good rows are kept, bad ones are listed.

    \b
    Exit code: 0 everything was taken, 1 some rows or columns were left out, 2 the file cannot be used.

    \b
    Example:
      flask templates import templates.csv --channel 乐信通 --dry-run
      flask templates import templates.csv --channel 乐信通
    """
    channel_id = _channel_id(channel_name)
    try:
        content = file.read_bytes()
        result = template_imports.take_file(channel_id, file.name, content, ACTOR, clock.now(), dry_run=dry_run)
    except Refusal as refusal:
        _unusable([sentence(problem) for problem in refusal.problems])
    except OSError as error:
        _unusable([f"{file}: {error.strerror}"])
    counts = ", ".join(f"{count} {fate}" for fate, count in result.counts.items())
    line = f"{'Dry run, nothing was changed: ' if dry_run else ''}{counts}"
    code = 0 if result.clean else SOME_REFUSED
    return Shown(_as_json(result, dry_run), [line], _complaints(result), code)


@command.command("sync", shows=True)
@click.option("--channel", "channel_name", help="Only this channel; without it all whose provider can be asked.")
def sync(channel_name: str | None) -> Shown:
    """Compare the templates and signatures with what the providers list now.

    Says what is new, changed or withdrawn. Runs being sent with a text that is not approved any more are held.

    \b
    Exit code: 0 everything is in line, 1 a provider did not answer as it should, 2 the channel cannot be asked.

    \b
    Example:
      flask templates sync
      flask templates sync --channel 阿里云
    """
    if channel_name:
        try:
            results = [template_sync.sync(_channel_id(channel_name), ACTOR, clock.now())]
        except Refusal as refusal:
            _unusable([sentence(problem) for problem in refusal.problems])
    else:
        results = template_sync.sync_all(clock.now(), ACTOR)
    lines = [line for result in results for line in _sync_lines(result)]
    notes = [
        f"{result.channel}: {words.sync_trouble(result.trial.result, result.trial.outcome or '', result.trial.code)}"
        for result in results
        if not result.ok
    ]
    code = 0 if all(result.ok for result in results) else 1
    nobody = [] if results else ["No active channel's provider can be asked for its templates."]
    return Shown({"items": [_sync_as_json(result) for result in results]}, [*lines, *nobody], notes, code)


def _sync_lines(result: SyncResult) -> Iterator[str]:
    if not result.ok:
        return
    for change in result.changes:
        fields = f" ({words.changed_fields(change.fields)})" if change.fields else ""
        reason = f": {change.reason}" if change.reason else ""
        fate = f"{label(change.fate, 'SyncFate')}{fields}, {label(change.audit, 'Audit')}{reason}"
        yield f"{result.channel}: {change.code} {change.name}: {fate}"
        if change.purpose == Purpose.UNSAID and change.audit == Audit.APPROVED:
            yield f"{result.channel}: {change.code}: {sentence(Problem('template_purpose_unsaid', 'purpose'))}"
    note = f" (runs held: {result.held})" if result.held else ""
    yield f"{result.channel}: {words.changes_told(result.counts)}{note}"


def _sync_as_json(result: SyncResult) -> dict[str, Any]:
    if not result.ok:
        return {
            "channel": result.channel,
            "error": result.trial.result,
            "outcome": result.trial.outcome,
            "code": result.trial.code,
        }
    changes = [dataclasses.asdict(change) for change in result.changes]
    return {
        "channel": result.channel,
        **{fate.value: n for fate, n in result.counts.items()},
        "held": result.held,
        "changes": changes,
    }


@command.command("list", shows=True)
@click.option("--channel", "channel_name", help="Only those of this channel.")
@click.option("--audit", type=click.Choice([audit.value for audit in Audit]), help="Only those in this audit state.")
@click.option("--search", default="", help="Only those with these words in text, name, code or signature.")
@TAG
@ARCHIVED
def list_(channel_name: str | None, audit: str | None, search: str, tag: str, archived: bool) -> Shown:
    """Print the templates, newest first: id, audit state, kind, code, name, text.

    \b
    Example:
      flask templates list --channel 乐信通 --audit approved
    """
    channel_id = _channel_id(channel_name) if channel_name else None
    state, before = Audit(audit) if audit else None, None
    rows: list[SmsTemplate] = []
    while page := sms_templates.find_page(channel_id, state, search, before, 500, tag=tag, archived=archived):
        rows += page
        before = rows[-1].id
    return listed(rows, setup.template, _line)


def _line(row: SmsTemplate) -> str:
    signed = f"【{row.signature}】" if row.signature else ""
    return f"{row.id}\t{row.audit}\t{row.purpose}\t{row.code}\t{row.name}\t{signed}{row.text!r}"


@command.command("show", shows=True)
@click.argument("template_id", type=ROW_ID)
def show(template_id: int) -> Shown:
    """Print a template.

    Example: flask templates show 3
    """
    document = setup.template(sms_templates.get(template_id))
    return Shown(document, (f"{name:14} {json_text(value)}" for name, value in document.items()))


def _channel_id(name: str) -> int:
    try:
        return accounts.by_name(name).id
    except NotFound:
        names = ", ".join(row.name for row in accounts.everything()) or "none yet"
        _unusable([f"There is no channel called {name!r}. Channels: {names}."])


def _unusable(sentences: list[str]) -> NoReturn:
    if is_json():
        fail_as_json("unusable", " ".join(sentences), status=UNUSABLE)
    for text in sentences:
        echo(text, err=True)
    raise SystemExit(UNUSABLE)


def _complaints(result: ImportResult) -> Iterator[str]:
    for number, problem in result.column_problems:
        yield f"row {number}: {sentence(problem)}"
    for row in result.rows:
        for problem in row.problems:
            kind = "warning" if problem.warning else label(row.fate)
            yield f"row {row.number}: {row.code or row.name or '?'}: {kind}: {sentence(problem)}"


def _as_json(result: ImportResult, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        **{fate.value: count for fate, count in result.counts.items()},
        "columns": [
            {"row": number, "code": problem.code, "message": sentence(problem)}
            for number, problem in result.column_problems
        ],
        "rows": [
            {
                "row": row.number,
                "template": row.code,
                "name": row.name,
                "result": row.fate,
                "audit": row.audit,
                "changed": list(row.changed),
                "problems": [
                    {
                        "code": problem.code,
                        "field": problem.place,
                        "severity": "warning" if problem.warning else "error",
                        "message": sentence(problem),
                    }
                    for problem in row.problems
                ],
            }
            for row in result.rows
        ],
    }
