"""Asks providers what carriers have registered of each signature; their answer counts over what a person said."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.channels.types import ProviderRegistration
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult
from smsapp.domain.registration import (
    LONGEST_REASON,
    LONGEST_VALUE,
    Registration,
    RegistrationKind,
    RegistrationSource,
    RegistrationState,
)
from smsapp.domain.rights import Right
from smsapp.domain.storable import storable
from smsapp.domain.webhook import EventKind
from smsapp.services.channels import account_calls, accounts, provider_calls, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import registration_guard
from smsapp.store import registrations as store
from smsapp.store import sms_templates
from smsapp.store.apps import webhook_outbox
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing

log = logging.getLogger(__name__)

SECONDS = 60.0
"""The timeout for all signatures of an account together."""
MOST_SIGNATURES = 300


@dataclass(frozen=True)
class RegistrationSync:
    """The result of asking one channel's provider."""

    channel_id: int
    channel: str
    trial: TestResult
    asked: int = 0
    changed: int = 0
    """Carriers that say something else of a signature than before."""
    held: int = 0
    """Runs that were being sent and are held for a person now."""

    @property
    def ok(self) -> bool:
        return self.trial.ok


def can(row: ChannelRow) -> bool:
    """Return whether this account's provider can be asked what carriers have registered."""
    try:
        return registry.adapter_of(row).lists_registrations
    except Refusal:
        return False


def sync(channel_id: int, actor: Actor, now: dt.datetime) -> RegistrationSync:
    """Ask the provider and store what it says; a failure is stored with the channel and returned.

    Runs being sent to a carrier that has turned red are held. Raises Refusal if the provider cannot be asked.
    """
    require(actor, Right.REGISTRATION_WRITE)
    row = accounts.row(channel_id)
    adapter = registry.new_adapter(row)
    if not adapter.lists_registrations:
        raise Refusal(Problem("channel_lists_no_registrations"))
    signatures = _signatures(channel_id)
    answers: list[ProviderRegistration] = []

    async def ask(adapter: Channel, http: HttpClient) -> TestResult:
        answers.extend(await adapter.list_registrations(http, signatures))
        return TestResult(CallResult.OK)

    trial = account_calls.run_test(adapter, ask, SECONDS) if signatures else TestResult(CallResult.OK)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        if signatures:
            provider_calls.note(session, channel_id, adapter, trial.call("signatures"), now)
        if not trial.ok:
            code = provider_calls.scrubbed(trial.code, adapter)
            channel.registrations_trouble = {"at": now.isoformat(), "result": trial.result,
                                             "outcome": trial.outcome or "", "code": code}  # fmt: skip
            log.warning("registrations.sync_failed channel=%s result=%s", channel_id, trial.result)
            return RegistrationSync(channel_id, channel.name, trial, len(signatures))
        channel.registrations_at, channel.registrations_trouble = now, None
        changed = _take(session, channel_id, answers, now)
        held = registration_guard.hold_running(session, channel_id, now)
        if changed:
            facts = {"channel": channel.name, "changed": changed}
            audit_log.log_action(session, actor, "sync", "registration", channel_id, now, **facts)
    log.info("registrations.synced channel=%s changed=%s held=%s", channel_id, changed, held)
    return RegistrationSync(channel_id, row.name, trial, len(signatures), changed, held)


def _signatures(channel_id: int) -> list[str]:
    """Return the signatures to ask about: those of the templates first, then the others the provider listed."""
    session = current_session()
    used = store.signatures_of_templates(session, channel_id, MOST_SIGNATURES)
    listed = [row.name for row in sms_templates.signatures(session, channel_id)]
    return list(dict.fromkeys([*used, *listed]))[:MOST_SIGNATURES]


def _take(session: Session, channel_id: int, answers: Sequence[ProviderRegistration], now: dt.datetime) -> int:
    """Store the answers; return how many differ from what was known. What a person said stays if the provider does not
    know."""
    names = {storable(answer.signature, LONGEST_VALUE) for answer in answers}
    known = store.of_values(session, channel_id, [(str(RegistrationKind.SIGNATURE), name) for name in names])
    before = {(entry.value, entry.carrier): entry for entry in known}
    entries: dict[tuple[str, str], Registration] = {}
    changed = 0
    for answer in answers:
        name = storable(answer.signature, LONGEST_VALUE)
        entry = before.get((name, answer.carrier))
        if answer.state is RegistrationState.UNKNOWN and entry and entry.source is RegistrationSource.PERSON:
            continue
        is_same = entry is not None and entry.state is answer.state
        since = answer.since or (entry.since if is_same and entry else None) or now
        reasons = tuple(storable(reason, LONGEST_REASON) for reason in answer.reasons)
        entries[name, answer.carrier] = Registration(
            RegistrationKind.SIGNATURE,
            name,
            answer.carrier,
            answer.state,
            reasons,
            since,
            now,
            RegistrationSource.PROVIDER,
        )
        changed += not is_same
        if not is_same:
            facts = {"channel": channel_id, "signature": name, "carrier": answer.carrier, "state": answer.state}
            webhook_outbox.note(session, EventKind.REGISTRATION_CHANGED, None, now, **facts)
    store.store(session, channel_id, list(entries.values()))
    return changed
