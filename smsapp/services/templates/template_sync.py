"""Syncs templates and signatures with the provider's list.

The provider's text and audit state are decisive. A name, a signature or a purpose that a person set stays until the
provider changes its own value. A template that the provider no longer lists is withdrawn, not removed.
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
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import LONGEST_NAME, Audit, Entry, Purpose, SyncFate, TemplateSource, entry
from smsapp.domain.storable import storable
from smsapp.domain.webhook import EventKind
from smsapp.services.channels import account_calls, accounts, provider_calls, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import approvals, registration_guard, registration_sync
from smsapp.services.templates.registration_sync import RegistrationSync
from smsapp.services.templates.sms_templates import added, differences, write
from smsapp.store import sms_templates as store
from smsapp.store.apps import webhook_outbox
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)

CHORE = Actor("template sync")
SECONDS = 60.0
"""The timeout; a long list has many pages."""
KEPT_UNLESS_CHANGED = ("name", "signature", "purpose")
"""Fields that a person may set although the provider gives a value."""
LONGEST_SIGNATURE, LONGEST_TEXT, LONGEST_REASON = 60, 4000, 2000


@dataclass(frozen=True)
class Change:
    """What a sync did to one template; `fields` are the changed ones."""

    fate: SyncFate
    code: str
    name: str
    audit: str
    reason: str = ""
    fields: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True)
class SyncResult:
    """The result of the sync of one channel."""

    channel_id: int
    channel: str
    trial: TestResult
    changes: list[Change] = field(default_factory=list)
    """One per changed template."""
    unchanged: int = 0
    held: int = 0
    """Runs that were being sent and are held for a person now."""
    registrations: RegistrationSync | None = None
    """What carriers have registered; None if the provider cannot be asked."""

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
    """Return whether this account's provider can be asked for its templates."""
    try:
        return registry.adapter_of(row).lists_templates
    except Refusal:
        return False


def able() -> list[ChannelRow]:
    """Return the active channels whose provider can be asked."""
    return [row for row in accounts.choices() if can(row)]


def sync(channel_id: int, actor: Actor, now: dt.datetime) -> SyncResult:
    """Fetch the provider's templates and update ours; a failure is stored with the channel and returned.

    Runs being sent with a text that is not approved any more are held. Raises Refusal if the kind lists no templates.
    """
    require(actor, Right.TEMPLATES_WRITE)
    row = accounts.row(channel_id)
    adapter = registry.new_adapter(row)
    if not adapter.lists_templates:
        raise Refusal(Problem("channel_lists_no_templates"))
    listing = _Listed()

    async def ask(adapter: Channel, http: HttpClient) -> TestResult:
        listing.templates = await adapter.list_templates(http)
        if adapter.lists_signatures:
            listing.signatures = await adapter.list_signatures(http)
        return TestResult(CallResult.OK)

    trial = account_calls.run_test(adapter, ask, SECONDS)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        provider_calls.note(session, channel_id, adapter, trial.call("templates"), now)
        if not trial.ok:
            code = provider_calls.scrubbed(trial.code, adapter)
            channel.templates_trouble = {"at": now.isoformat(), "result": trial.result, "outcome": trial.outcome or "",
                                       "code": code}  # fmt: skip
            log.warning("templates.sync_failed channel=%s result=%s", channel_id, trial.result)
            return SyncResult(channel_id, channel.name, trial)
        channel.templates_synced_at, channel.templates_trouble = now, None
        if listing.signatures is not None:
            store.store_signatures(session, channel_id, _signature_rows(listing.signatures))
        changes, unchanged = _bring_in_line(session, channel_id, listing, now)
        held_runs = approvals.hold_running(session, channel_id, now)
        result = SyncResult(channel_id, channel.name, trial, changes, unchanged, held_runs)
        for change in changes:
            facts = {"channel": channel_id, "code": change.code, "change": change.fate, "audit": change.audit}
            webhook_outbox.note(session, EventKind.TEMPLATE_CHANGED, None, now, **facts)
        if changes:
            counts = {fate.value: n for fate, n in result.counts.items()}
            audit_log.log_action(
                session, actor, "sync", "sms_template", channel_id, now, channel=channel.name, **counts
            )
    log.info("templates.synced channel=%s changed=%s held=%s", channel_id, len(changes), held_runs)
    if adapter.lists_registrations:
        asked = registration_sync.sync(channel_id, actor, now)
        result = dataclasses.replace(result, held=result.held + asked.held, registrations=asked)
    return result


def sync_all(now: dt.datetime, actor: Actor = CHORE) -> list[SyncResult]:
    """Sync every active channel whose provider can be asked; one channel's fault does not stop the others."""
    require(actor, Right.TEMPLATES_WRITE)
    results = []
    for channel_id in [row.id for row in able()]:
        try:
            results.append(sync(channel_id, actor, now))
        except Exception:
            log.exception("templates.sync_fault channel=%s", channel_id)
    # What a person typed in may have come to its term without any provider having said so.
    registration_guard.hold_lapsed(now)
    return results


def _bring_in_line(session: Session, channel_id: int, listing: _Listed, now: dt.datetime) -> tuple[list[Change], int]:
    existing = store.of_channel(session, channel_id)
    approved = [signature.name for signature in listing.signatures or () if signature.audit is Audit.APPROVED]
    default_signature = storable(approved[0], LONGEST_SIGNATURE) if len(approved) == 1 else ""
    listed_codes: set[str] = set()
    changes: list[Change] = []
    for template in listing.templates:
        code = storable(template.code, LONGEST_NAME)
        if code in listed_codes:
            continue
        listed_codes.add(code)
        change = _take(session, channel_id, template, existing.get(code), default_signature, now)
        if change is not None:
            changes.append(change)
    unchanged = len(listed_codes) - len(changes)
    return changes + [
        _withdraw(row, now) for code, row in existing.items() if code not in listed_codes and _is_gone(row)
    ], unchanged


def _is_gone(row: SmsTemplate) -> bool:
    """Return whether to withdraw an unlisted template; a pending one that a person entered may not be listed yet."""
    if row.audit == Audit.WITHDRAWN:
        return False
    return row.audit == Audit.APPROVED or row.source == TemplateSource.SYNC


def _withdraw(row: SmsTemplate, now: dt.datetime) -> Change:
    row.audit, row.audit_reason = Audit.WITHDRAWN, ""
    row.checked_at = row.updated_at = now
    return Change(SyncFate.WITHDRAWN, row.code, row.name, row.audit, fields=("audit",), purpose=row.purpose)


def _take(
    session: Session,
    channel_id: int,
    template: ProviderTemplate,
    row: SmsTemplate | None,
    default_signature: str,
    now: dt.datetime,
) -> Change | None:
    """Store one listed template; None if nothing has changed. `default_signature`: the account's only one, or ""."""
    provider_entry = _entry(template)
    provider_values = {name: str(getattr(provider_entry, name)) for name in KEPT_UNLESS_CHANGED}
    reason = storable(template.reason, LONGEST_REASON)
    if row is None:
        provider_entry = dataclasses.replace(provider_entry, signature=provider_entry.signature or default_signature)
        row = added(channel_id, provider_entry, template.audit, reason, TemplateSource.SYNC, now)
        row.provider_said = provider_values
        session.add(row)
        return Change(SyncFate.ADDED, row.code, row.name, row.audit, reason, purpose=row.purpose)
    merged = _merged(provider_entry, row, provider_values)
    changed_fields = differences(row, merged)
    if (row.audit, row.audit_reason) != (template.audit, reason):
        changed_fields.append("audit")
    row.checked_at = now
    if row.provider_said != provider_values:
        row.provider_said = provider_values
    if not changed_fields:
        return None
    write(row, merged, now)
    row.audit, row.audit_reason = template.audit, reason
    return Change(SyncFate.CHANGED, row.code, row.name, row.audit, reason, tuple(changed_fields), row.purpose)


def _merged(provider_entry: Entry, row: SmsTemplate, provider_values: dict[str, str]) -> Entry:
    """Return the provider's entry with the values that a person set and the provider has not changed since."""
    previous: dict[str, str] = row.provider_said or {}
    own_values: dict[str, Any] = {}
    for name in KEPT_UNLESS_CHANGED:
        own_value = getattr(row, name)
        unsaid = provider_values[name] in ("", Purpose.UNSAID)
        if unsaid or (
            previous.get(name, provider_values[name]) == provider_values[name] and own_value not in ("", Purpose.UNSAID)
        ):
            own_values[name] = Purpose(own_value) if name == "purpose" else own_value
    return dataclasses.replace(provider_entry, **own_values)


def _entry(template: ProviderTemplate) -> Entry:
    """Return the provider's template as a tidied entry that every database can store."""
    tidy = entry(
        code=storable(template.code, LONGEST_NAME),
        name=storable(template.name or template.code, LONGEST_NAME),
        text=storable(template.text, LONGEST_TEXT),
        signature=storable(template.signature, LONGEST_SIGNATURE),
        purpose=template.purpose or Purpose.UNSAID,
    )
    return dataclasses.replace(tidy, signature=tidy.signature[:LONGEST_SIGNATURE])


def _signature_rows(signatures: Sequence[ProviderSignature]) -> list[dict[str, str]]:
    """Return a row per name; if several have the same name (for China, for abroad), an approved one if there is one."""
    rows: dict[str, dict[str, str]] = {}
    for signature in sorted(signatures, key=lambda signature: signature.audit is not Audit.APPROVED):
        name = storable(signature.name, LONGEST_SIGNATURE)
        rows.setdefault(
            name, {"name": name, "audit": signature.audit, "audit_reason": storable(signature.reason, LONGEST_REASON)}
        )
    return list(rows.values())
