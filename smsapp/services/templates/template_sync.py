"""Templates and signatures as the provider lists them: asked for, compared with ours, and written down.

What the provider says of text and audit counts. A name, a signature or a kind that a person set stays until the
provider changes what it said of it. A template the provider lists no longer is withdrawn, not removed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.channels.types import ProviderSignature, ProviderTemplate
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult
from smsapp.domain.sms_template import LONGEST_NAME, Audit, Entry, Purpose, SyncFate, TemplateSource, entry
from smsapp.domain.storable import storable
from smsapp.services.channels import call_log, channels
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestResult
from smsapp.services.templates import approvals
from smsapp.services.templates.sms_templates import added, differences, write
from smsapp.store import sms_templates as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)

CHORE = Actor("template sync")
SECONDS = 60.0
"""A long list has many pages."""
KEPT_UNLESS_CHANGED = ("name", "signature", "purpose")
"""What a person may set although the provider says something of it."""
LONGEST_SIGNATURE, LONGEST_TEXT, LONGEST_REASON = 60, 4000, 2000


@dataclass(frozen=True)
class Change:
    """What a sync did to one template; `fields` have another value now."""

    fate: SyncFate
    code: str
    name: str
    audit: str
    reason: str = ""
    fields: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True)
class SyncResult:
    """What came of asking one channel's provider."""

    channel_id: int
    channel: str
    trial: TestResult
    changes: list[Change] = field(default_factory=list)
    """Of what is not as it was."""
    unchanged: int = 0
    held: int = 0
    """Runs that were being sent and wait for a person now."""

    @property
    def ok(self) -> bool:
        return self.trial.ok

    @property
    def counts(self) -> dict[SyncFate, int]:
        counted = Counter(change.fate for change in self.changes)
        return {fate: counted[fate] for fate in SyncFate} | {SyncFate.UNCHANGED: self.unchanged}


@dataclass
class _Listed:
    templates: list[ProviderTemplate] = field(default_factory=list)
    signatures: list[ProviderSignature] | None = None


def can(row: ChannelRow) -> bool:
    """Say whether this account's provider can be asked for its templates."""
    try:
        return channels.adapter_of(row).lists_templates
    except Refusal:
        return False


def able() -> list[ChannelRow]:
    """Return the active channels whose provider can be asked."""
    return [row for row in channels.choices() if can(row)]


def sync(channel_id: int, actor: Actor, now: dt.datetime) -> SyncResult:
    """Ask the provider for its templates and bring ours in line; what failed is kept with the channel and returned.

    Runs being sent with words that are not approved any more are held. Raises Refusal if the kind cannot be asked.
    """
    row = channels.row(channel_id)
    adapter = channels.new_adapter(row)
    if not adapter.lists_templates:
        raise Refusal(Problem("channel_lists_no_templates"))
    listed = _Listed()

    async def ask(made: Channel, http: HttpClient) -> TestResult:
        listed.templates = await made.list_templates(http)
        if made.lists_signatures:
            listed.signatures = await made.list_signatures(http)
        return TestResult(CallResult.OK)

    trial = channel_tests.run_test(adapter, ask, SECONDS)
    with writing() as session:
        found = channels.locked(session, channel_id)
        call_log.note(session, channel_id, adapter, trial.call("templates"), now)
        if not trial.ok:
            code = call_log.scrubbed(trial.code, adapter)
            found.templates_trouble = {"at": now.isoformat(), "result": trial.result, "outcome": trial.outcome or "",
                                       "code": code}  # fmt: skip
            log.warning("templates.sync_failed channel=%s result=%s", channel_id, trial.result)
            return SyncResult(channel_id, found.name, trial)
        found.templates_synced_at, found.templates_trouble = now, None
        if listed.signatures is not None:
            store.keep_signatures(session, channel_id, _signature_rows(listed.signatures))
        changes, unchanged = _bring_in_line(session, channel_id, listed, now)
        held = approvals.hold_running(session, channel_id, now)
        done = SyncResult(channel_id, found.name, trial, changes, unchanged, held)
        if changes:
            counts = {fate.value: n for fate, n in done.counts.items()}
            audit_log.log_action(session, actor, "sync", "sms_template", channel_id, now, channel=found.name, **counts)
    log.info("templates.synced channel=%s changed=%s held=%s", channel_id, len(changes), held)
    return done


def sync_all(now: dt.datetime, actor: Actor = CHORE) -> list[SyncResult]:
    """Sync every active channel whose provider can be asked; one channel's fault does not keep the others old."""
    done = []
    for channel_id in [row.id for row in able()]:
        try:
            done.append(sync(channel_id, actor, now))
        except Exception:
            log.exception("templates.sync_fault channel=%s", channel_id)
    return done


def _bring_in_line(session: Session, channel_id: int, listed: _Listed, now: dt.datetime) -> tuple[list[Change], int]:
    known = store.of_channel(session, channel_id)
    approved = [one.name for one in listed.signatures or () if one.audit is Audit.APPROVED]
    only = storable(approved[0], LONGEST_SIGNATURE) if len(approved) == 1 else ""
    seen: set[str] = set()
    changes: list[Change] = []
    for one in listed.templates:
        code = storable(one.code, LONGEST_NAME)
        if code in seen:
            continue
        seen.add(code)
        change = _take(session, channel_id, one, known.get(code), only, now)
        if change is not None:
            changes.append(change)
    unchanged = len(seen) - len(changes)
    return changes + [
        _withdraw(row, now) for code, row in known.items() if code not in seen and _is_gone(row)
    ], unchanged


def _is_gone(row: SmsTemplate) -> bool:
    """Say whether it matters that the provider does not list this; what a person typed ahead may not be there yet."""
    if row.audit == Audit.WITHDRAWN:
        return False
    return row.audit == Audit.APPROVED or row.source == TemplateSource.SYNC


def _withdraw(row: SmsTemplate, now: dt.datetime) -> Change:
    row.audit, row.audit_reason = Audit.WITHDRAWN, ""
    row.checked_at = row.updated_at = now
    return Change(SyncFate.WITHDRAWN, row.code, row.name, row.audit, fields=("audit",), purpose=row.purpose)


def _take(
    session: Session, channel_id: int, one: ProviderTemplate, row: SmsTemplate | None, only: str, now: dt.datetime
) -> Change | None:
    """Write down one listed template; None if nothing is new. `only` is the account's one signature, or ""."""
    theirs = _entry(one)
    said = {name: str(getattr(theirs, name)) for name in KEPT_UNLESS_CHANGED}
    reason = storable(one.reason, LONGEST_REASON)
    if row is None:
        theirs = dataclasses.replace(theirs, signature=theirs.signature or only)
        row = added(channel_id, theirs, one.audit, reason, TemplateSource.SYNC, now)
        row.provider_said = said
        session.add(row)
        return Change(SyncFate.ADDED, row.code, row.name, row.audit, reason, purpose=row.purpose)
    kept = _merged(theirs, row, said)
    changed = differences(row, kept)
    if (row.audit, row.audit_reason) != (one.audit, reason):
        changed.append("audit")
    row.checked_at = now
    if row.provider_said != said:
        row.provider_said = said
    if not changed:
        return None
    write(row, kept, now)
    row.audit, row.audit_reason = one.audit, reason
    return Change(SyncFate.CHANGED, row.code, row.name, row.audit, reason, tuple(changed), row.purpose)


def _merged(theirs: Entry, row: SmsTemplate, said: dict[str, str]) -> Entry:
    """Return the provider's entry with what a person set and the provider has not changed since."""
    last: dict[str, str] = row.provider_said or {}
    kept: dict[str, Any] = {}
    for name in KEPT_UNLESS_CHANGED:
        ours = getattr(row, name)
        silent = said[name] in ("", Purpose.UNSAID)
        if silent or (last.get(name, said[name]) == said[name] and ours not in ("", Purpose.UNSAID)):
            kept[name] = Purpose(ours) if name == "purpose" else ours
    return dataclasses.replace(theirs, **kept)


def _entry(one: ProviderTemplate) -> Entry:
    """Return what the provider lists, tidied and fit for every database."""
    tidy = entry(
        code=storable(one.code, LONGEST_NAME),
        name=storable(one.name or one.code, LONGEST_NAME),
        text=storable(one.text, LONGEST_TEXT),
        signature=storable(one.signature, LONGEST_SIGNATURE),
        purpose=one.purpose or Purpose.UNSAID,
    )
    return dataclasses.replace(tidy, signature=tidy.signature[:LONGEST_SIGNATURE])


def _signature_rows(listed: Sequence[ProviderSignature]) -> list[dict[str, str]]:
    """Return a row per name; of several with one name (for China, for abroad) an approved one counts."""
    rows: dict[str, dict[str, str]] = {}
    for one in sorted(listed, key=lambda one: one.audit is not Audit.APPROVED):
        name = storable(one.name, LONGEST_SIGNATURE)
        rows.setdefault(name, {"name": name, "audit": one.audit, "audit_reason": storable(one.reason, LONGEST_REASON)})
    return list(rows.values())
