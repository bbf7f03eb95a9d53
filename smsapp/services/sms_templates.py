"""SMS templates: typed in or imported, approved or refused, chosen by campaigns."""

from __future__ import annotations

import dataclasses
import datetime as dt

from smsapp.domain.errors import NotFound, Outrun, Problem, Refusal
from smsapp.domain.sms_template import Audit, Entry, TemplateSource, entry_problems
from smsapp.services.trail import Actor, note
from smsapp.store import sms_templates as store
from smsapp.store.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.sms_templates import SmsTemplate

NOUN = "sms_template"
STALE_AFTER = dt.timedelta(days=90)
"""Approvals are withdrawn without a word to those who typed them in; after this time a person should look again."""

FIELDS = tuple(item.name for item in dataclasses.fields(Entry))

find_page = store.listed
counts = store.audit_counts
choices = store.approved
users = store.users


def get(template_id: int) -> SmsTemplate:
    """Return the template; raises NotFound."""
    found = store.find(template_id)
    if found is None:
        raise NotFound(NOUN)
    return found


def seen(template: SmsTemplate) -> str:
    """Return the mark of this state of the template: a decision or edit that began from an older one is not taken."""
    return template.updated_at.isoformat()


def stale(now: dt.datetime, channel_id: int | None = None) -> int:
    """Return how many approved templates nobody has compared with the provider for STALE_AFTER."""
    return store.unchecked_since(now - STALE_AFTER, channel_id)


def create(channel_id: int, typed: Entry, audit: Audit, actor: Actor, now: dt.datetime) -> SmsTemplate:
    """Store a new template of the channel and return it; raises Refusal with every problem of the entry."""
    _refuse(_errors(typed))
    with writing() as session:
        if session.get(ChannelRow, channel_id) is None:
            raise Refusal(Problem("template_channel_missing", "channel"))
        if store.by_code(channel_id, [typed.code]):
            raise Refusal(Problem("template_code_taken", "code", {"code": typed.code}))
        made = added(channel_id, typed, audit, "", TemplateSource.MANUAL, now)
        session.add(made)
        session.flush()
        note(session, actor, "create", NOUN, made.id, now, name=made.name, audit=audit)
    return made


def edit(template_id: int, typed: Entry, mark: str, actor: Actor, now: dt.datetime) -> bool:
    """Store the changed entry; True if the template now waits for approval, its words no longer being those approved.

    `mark` is `seen` of what the person began from. Campaigns that wait with the old words are held when they are due.
    """
    _refuse(_errors(typed))
    with writing() as session:
        template = _locked(template_id, mark)
        if typed.code != template.code and store.by_code(template.channel_id, [typed.code]):
            raise Refusal(Problem("template_code_taken", "code", {"code": typed.code}))
        changed = differences(template, typed)
        reworded = not set(changed) <= {"name"}
        if changed:
            write(template, typed, now)
        if reworded:
            template.audit, template.audit_reason, template.checked_at = Audit.PENDING, "", now
        if changed:
            note(session, actor, "edit", NOUN, template_id, now, name=template.name, changed=changed)
    return reworded


def approve(template_id: int, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Let campaigns choose the template: the provider has approved exactly the words the person saw.

    Approving an approved one again says that it was compared with the provider today.
    """
    _decide(template_id, mark, Audit.APPROVED, "", actor, now)


def refuse(template_id: int, reason: str, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Keep the template from being chosen, with the provider's reason; raises Refusal without one."""
    if not reason.strip():
        raise Refusal(Problem("refusal_reason_missing", "reason"))
    _decide(template_id, mark, Audit.REFUSED, reason.strip(), actor, now)


def _decide(template_id: int, mark: str, audit: Audit, reason: str, actor: Actor, now: dt.datetime) -> None:
    with writing() as session:
        template = _locked(template_id, mark)
        template.audit, template.audit_reason = audit, reason
        template.checked_at = template.updated_at = now
        note(
            session,
            actor,
            "approve" if audit is Audit.APPROVED else "refuse",
            NOUN,
            template_id,
            now,
            name=template.name,
        )


def delete(template_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove the template; refused while a campaign that is not over uses it."""
    with writing() as session:
        template = store.locked(template_id)
        if template is None:
            raise NotFound(NOUN)
        used_by = store.users(template_id)
        if used_by:
            names = ", ".join(campaign.name or f"#{campaign.id}" for campaign in used_by[:3])
            raise Refusal(Problem("template_in_use", "", {"count": len(used_by), "names": names}))
        note(session, actor, "delete", NOUN, template_id, now, name=template.name, code=template.code)
        session.delete(template)


def _errors(typed: Entry) -> list[Problem]:
    return [problem for problem in entry_problems(typed) if not problem.warning]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise Refusal(*problems)


def _locked(template_id: int, mark: str) -> SmsTemplate:
    template = store.locked(template_id)
    if template is None:
        raise NotFound(NOUN)
    if seen(template) != mark:
        raise Outrun(noun=NOUN)
    return template


def added(
    channel_id: int, typed: Entry, audit: Audit, reason: str, source: TemplateSource, now: dt.datetime
) -> SmsTemplate:
    """Return a new row, not yet in a session."""
    row = SmsTemplate(
        channel_id=channel_id, audit=audit, audit_reason=reason, source=source, created_at=now, checked_at=now
    )
    write(row, typed, now)
    return row


def differences(template: SmsTemplate, typed: Entry) -> list[str]:
    """Return the names of the fields in which the entry differs from the stored template."""
    return [name for name in FIELDS if getattr(template, name) != getattr(typed, name)]


def write(template: SmsTemplate, typed: Entry, now: dt.datetime) -> None:
    for name in FIELDS:
        setattr(template, name, getattr(typed, name))
    template.updated_at = now
