"""Imports of files of SMS templates: a row per record with its result, a dry run, all in one transaction."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import Audit, Purpose, TemplateSource
from smsapp.domain.template_file import Fate, Reading, Record, TemplateField, read
from smsapp.domain.template_problems import entry_problems
from smsapp.services.platform import access
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.templates import registrations, template_files
from smsapp.services.templates.sms_templates import added, differences, write
from smsapp.store import sms_templates as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

STASHED_FOR = dt.timedelta(days=1)
TOKEN = re.compile(r"[0-9a-f]{32}\.(?:csv|txt|tsv|xlsx|json|yaml|yml)")


@dataclass(frozen=True)
class Row:
    """The result of one record; problems say why it is refused, or warn."""

    number: int
    code: str
    name: str
    fate: Fate
    problems: tuple[Problem, ...] = ()
    changed: tuple[str, ...] = ()
    """The fields with a new value."""
    audit: str = ""
    """The audit state afterwards."""


@dataclass(frozen=True)
class ImportResult:
    """What an import did, or would do."""

    rows: list[Row]
    column_problems: list[tuple[int, Problem]]
    """(row, problem) of the columns that are left out."""

    @property
    def counts(self) -> dict[Fate, int]:
        return {fate: sum(row.fate is fate for row in self.rows) for fate in Fate}

    @property
    def clean(self) -> bool:
        """Nothing in the file was left out."""
        return not self.column_problems and not any(row.fate is Fate.REFUSED for row in self.rows)


def take_file(
    channel_id: int, name: str, content: bytes, actor: Actor, now: dt.datetime, *, dry_run: bool = False
) -> ImportResult:
    """Add and change the templates of a channel by a file; with `dry_run` only return what would happen.

    Templates are identified by their provider code, so the same file again changes nothing. Good rows are stored even
    if others are refused; fields without a column do not change. A changed text without an audit state becomes pending,
    and so does one that the file calls approved if the actor may not approve templates.
    Raises Refusal if the file as a whole cannot be used.
    """
    require(actor, Right.TEMPLATES_WRITE)
    may_approve = access.holds(actor, Right.TEMPLATES_APPROVE)
    sheet = template_files.read(name, content)
    if dry_run:
        _require(current_session().get(ChannelRow, channel_id))
        return _take(channel_id, sheet, now, keep=False, may_approve=may_approve)
    with writing() as session:
        _require(session.get(ChannelRow, channel_id))
        result = _take(channel_id, sheet, now, keep=True, may_approve=may_approve)
        log_action(session, actor, "import", "sms_template", channel_id, now, counts=result.counts)
    return result


def stash(name: str, content: bytes, now: dt.datetime) -> str:
    """Store an uploaded file until a person has seen what it would do; return its token.

    Files older than STASHED_FOR are removed.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.stat().st_mtime < (now - STASHED_FOR).timestamp():
            old.unlink(missing_ok=True)
    token = secrets.token_hex(16) + "." + template_files.kind(name, content).removeprefix(".")
    (folder / token).write_bytes(content)
    return token


def stashed(token: str) -> bytes:
    """Return the content of a stashed file; raises NotFound."""
    if not TOKEN.fullmatch(token):
        raise NotFound("file")
    try:
        return (_folder() / token).read_bytes()
    except FileNotFoundError:
        raise NotFound("file") from None


def drop(token: str) -> None:
    """Remove a stashed file."""
    if TOKEN.fullmatch(token):
        (_folder() / token).unlink(missing_ok=True)


def stashed_files() -> list[Path]:
    """Return the stashed files."""
    return sorted(_folder().iterdir()) if _folder().is_dir() else []


def _folder() -> Path:
    return settings().INSTANCE_DIR / "uploads" / "templates"


def _require(channel: ChannelRow | None) -> None:
    if channel is None:
        raise Refusal(Problem("template_channel_missing", "channel"))


def _take(
    channel_id: int, sheet: template_files.Sheet, now: dt.datetime, *, keep: bool, may_approve: bool
) -> ImportResult:
    readings = [read(record, with_code=sheet.with_code) for record in sheet.records]
    if not may_approve:
        readings = [_unapproved(reading) for reading in readings]
    template_by_code = store.by_code(
        current_session(), channel_id, {reading.entry.code for reading in readings if reading.entry}
    )
    first_row: dict[str, int] = {}
    rows = []
    for record, as_written in zip(sheet.records, readings, strict=True):
        reading = _completed(record, as_written, template_by_code)
        problems = _problems(reading, first_row, channel_id)
        if reading.entry is None or any(not problem.warning for problem in problems):
            code = reading.entry.code if reading.entry else record.values.get("code", "")
            rows.append(Row(record.row, code, record.values.get("name", ""), Fate.REFUSED, problems))
            continue
        first_row[reading.entry.code] = record.row
        rows.append(
            _keep_one(channel_id, record, reading, problems, template_by_code.get(reading.entry.code), now, keep)
        )
    return ImportResult(rows, sheet.problems)


def _unapproved(reading: Reading) -> Reading:
    """Return the reading without an approval that the file states."""
    if reading.audit is not Audit.APPROVED:
        return reading
    problem = Problem("template_approval_needs_approver", "status", warning=True)
    return dataclasses.replace(reading, audit=None, problems=(*reading.problems, problem))


def _completed(record: Record, reading: Reading, template_by_code: Mapping[str, SmsTemplate]) -> Reading:
    """Return the reading with fields that the file leaves out taken from the existing template."""
    entry = reading.entry
    template = template_by_code.get(entry.code) if entry else None
    if entry is None or template is None:
        return reading
    old_fields: dict[str, Any] = {}
    if not record.values.get("name"):
        old_fields["name"] = template.name
    if not record.values.get("purpose"):
        old_fields["purpose"] = Purpose(template.purpose)
    if "signature" not in record.values and not entry.signature:
        old_fields["signature"] = template.signature
    return dataclasses.replace(reading, entry=dataclasses.replace(entry, **old_fields))


def _problems(reading: Reading, first_row: dict[str, int], channel_id: int) -> tuple[Problem, ...]:
    if reading.entry is None:
        return reading.problems
    first = first_row.get(reading.entry.code)
    if first is not None:
        return (Problem("template_code_twice", "code", {"code": reading.entry.code, "row": first}),)
    contacts = registrations.entry_contact_problems(reading.entry.text, channel_id)
    return (*reading.problems, *entry_problems(reading.entry), *contacts)


def _keep_one(
    channel_id: int,
    record: Record,
    reading: Reading,
    problems: tuple[Problem, ...],
    template: SmsTemplate | None,
    now: dt.datetime,
    keep: bool,
) -> Row:
    entry = reading.entry
    assert entry is not None
    reason = reading.reason if reading.audit is Audit.REFUSED else ""
    if template is None:
        audit = reading.audit or Audit.PENDING
        if keep:
            current_session().add(added(channel_id, entry, audit, reason, TemplateSource.IMPORT, now))
        return Row(record.row, entry.code, entry.name, Fate.ADDED, problems, audit=audit)
    changed = differences(template, entry)
    audit, reason = _audit_after(template, reading, reason, reworded=not set(changed) <= {"name"})
    if (audit, reason) != (template.audit, template.audit_reason):
        changed.append(TemplateField.AUDIT)
    if keep:
        if reading.audit is not None:
            template.checked_at = now
        if changed:
            write(template, entry, now)
            template.audit, template.audit_reason, template.source = audit, reason, TemplateSource.IMPORT
    return Row(
        record.row, entry.code, entry.name, Fate.CHANGED if changed else Fate.UNCHANGED, problems, tuple(changed), audit
    )


def _audit_after(template: SmsTemplate, reading: Reading, reason: str, *, reworded: bool) -> tuple[Audit, str]:
    if reading.audit is not None:
        return reading.audit, reason
    if reworded:
        return Audit.PENDING, ""
    return Audit(template.audit), template.audit_reason
