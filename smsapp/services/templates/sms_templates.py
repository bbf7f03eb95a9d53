"""SMS templates: entered or imported, approved or refused, used by campaigns."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

from sqlalchemy.orm import Session

from smsapp.domain.bounds import LONGEST_DECLARED, Bound
from smsapp.domain.contact_details import contact_problems
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import Audit, Entry, Purpose, TemplateSource, variables
from smsapp.domain.tags import Item
from smsapp.domain.template_problems import entry_problems
from smsapp.services.contacts import audience
from smsapp.services.platform import tags
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.templates import approvals, registrations
from smsapp.store import sms_templates as store
from smsapp.store.campaigns import archive
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.settings import settings
from smsapp.store.sms_templates import Signature, SmsTemplate

NOUN = "sms_template"

FIELDS = tuple(item.name for item in dataclasses.fields(Entry))


def find_page(
    channel_id: int | None = None,
    audit: Audit | None = None,
    words: str = "",
    before: int | None = None,
    limit: int = 50,
    unchecked: dt.datetime | None = None,
    tag: str = "",
    *,
    archived: bool = False,
) -> list[SmsTemplate]:
    """Return one page of templates, newest first, archived ones or the others; `before` is the last id of the page
    before.

    With `unchecked` only approved ones whose audit state was not confirmed since then.
    """
    wanted = tags.filter_by(Item.TEMPLATE, tag)
    return store.listed(
        current_session(), channel_id, audit, words, before, limit, unchecked, wanted, archived=archived
    )


def counts(
    channel_id: int | None = None, words: str = "", tag: str = "", *, archived: bool = False
) -> dict[Audit, int]:
    """Return how many of the matching templates are in each audit state."""
    wanted = tags.filter_by(Item.TEMPLATE, tag)
    return store.audit_counts(current_session(), channel_id, words, wanted, archived=archived)


def choices(channel_id: int) -> list[SmsTemplate]:
    """Return the templates that campaigns of this channel can choose, newest first."""
    return store.approved(current_session(), channel_id)


def purposeless(channel_id: int) -> list[SmsTemplate]:
    """Return the approved templates that campaigns cannot choose, because their purpose is unknown."""
    return store.purposeless(current_session(), channel_id)


def users(template_id: int) -> list[Campaign]:
    """Return the campaigns that still need this template, newest first."""
    return store.users(current_session(), template_id)


def signatures(channel_id: int) -> list[Signature]:
    """Return the signatures the provider listed, approved ones first."""
    return store.signatures(current_session(), channel_id)


def get(template_id: int) -> SmsTemplate:
    """Return the template; raises NotFound."""
    template = store.find(current_session(), template_id)
    if template is None:
        raise NotFound(NOUN)
    return template


def seen(template: SmsTemplate) -> str:
    """Return the mark of this state of the template: a decision or edit with an older mark is rejected."""
    return template.mark


def check_days() -> int:
    """Return after how many days an approval should be compared with the provider again."""
    return settings().TEMPLATE_CHECK_DAYS


def unchecked_before(now: dt.datetime) -> dt.datetime:
    """Return the moment before which a comparison is too old: providers do not report withdrawals."""
    return now - dt.timedelta(days=check_days())


def unchecked_days(template: SmsTemplate, now: dt.datetime) -> int:
    """Return for how many days an approval has not been compared with the provider, if that is too long; else 0."""
    last = template.checked_at or template.created_at
    return (now - last).days if template.audit == Audit.APPROVED and last < unchecked_before(now) else 0


def stale(now: dt.datetime, channel_id: int | None = None) -> int:
    """Return how many approvals have not been compared with the provider for too long."""
    return store.unchecked_since(current_session(), unchecked_before(now), channel_id)


def signature_problem(channel_id: int, signature: str) -> Problem | None:
    """Return the problem of a signature by the provider's list of signatures, if there is a list."""
    row_by_name = {row.name: row for row in store.signatures(current_session(), channel_id)}
    if not row_by_name:
        return None
    if not signature:
        return Problem("signature_needed", "signature", warning=True)
    row = row_by_name.get(signature)
    if row is None:
        return Problem("signature_not_listed", "signature", {"signature": signature}, warning=True)
    if row.audit == Audit.APPROVED:
        return None
    facts = {"signature": signature, "reason": row.audit_reason}
    return Problem("signature_not_approved", "signature", facts, warning=True)


def say_purpose(template_id: int, purpose: Purpose, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Store the purpose that a person declares; a sync keeps it. Raises Refusal for UNSAID."""
    require(actor, Right.TEMPLATES_WRITE)
    with writing() as session:
        template = _locked(session, template_id, mark)
        if purpose is Purpose.UNSAID:
            raise Refusal(Problem("template_purpose_unsaid", "purpose"))
        template.purpose, template.updated_at = purpose, now
        log_action(session, actor, "edit", NOUN, template_id, now, name=template.name, changed=["purpose"])


def declare(template_id: int, allowed: Mapping[str, Bound], mark: str, actor: Actor, now: dt.datetime) -> None:
    """Store the declared bounds of the template's variables; raises Refusal for an impossible length.

    Campaigns that were reviewed before need another review; waiting ones use the new bounds.
    """
    require(actor, Right.TEMPLATES_WRITE)
    with writing() as session:
        template = _locked(session, template_id, mark)
        names = variables(template.text)
        limits = {"most": LONGEST_DECLARED}
        _refuse(
            [
                Problem("variable_longest", f"longest-{name}", limits | {"variable": name})
                for name in names
                if name in allowed and not 1 <= allowed[name].longest <= LONGEST_DECLARED
            ]
        )
        template.allowed = {name: allowed[name].as_json() for name in names if name in allowed}
        template.updated_at = now
        log_action(session, actor, "edit", NOUN, template_id, now, name=template.name, changed=["variables"])


def bounds(template: SmsTemplate) -> dict[str, Bound]:
    """Return the bound of each variable of the template."""
    return {name: audience.bound_of(template, name) for name in variables(template.text)}


def create(channel_id: int, entry: Entry, audit: Audit, actor: Actor, now: dt.datetime) -> SmsTemplate:
    """Store a new template of the channel and return it; raises Refusal with every problem of the entry.

    One that counts as approved from the first needs the right to approve, too.
    """
    require(actor, Right.TEMPLATES_APPROVE if audit is Audit.APPROVED else Right.TEMPLATES_WRITE)
    _refuse(_errors(entry))
    with writing() as session:
        channel = session.get(ChannelRow, channel_id)
        if channel is None:
            raise Refusal(Problem("template_channel_missing", "channel"))
        _refuse(_contact_errors(channel, entry.text))
        if store.by_code(session, channel_id, [entry.code]):
            raise Refusal(Problem("template_code_taken", "code", {"code": entry.code}))
        template = added(channel_id, entry, audit, "", TemplateSource.MANUAL, now)
        session.add(template)
        session.flush()
        log_action(session, actor, "create", NOUN, template.id, now, name=template.name, audit=audit)
    return template


def edit(template_id: int, entry: Entry, mark: str, actor: Actor, now: dt.datetime) -> bool:
    """Store the changed entry; True if the template is pending again, because more than its name has changed.

    `mark` is `seen` of the state that the person edited. Campaigns that wait with the old text are held when due.
    """
    require(actor, Right.TEMPLATES_WRITE)
    _refuse(_errors(entry))
    with writing() as session:
        template = _locked(session, template_id, mark)
        if entry.text != template.text:
            _refuse(_contact_errors(session.get(ChannelRow, template.channel_id), entry.text))
        if entry.code != template.code and store.by_code(session, template.channel_id, [entry.code]):
            raise Refusal(Problem("template_code_taken", "code", {"code": entry.code}))
        changed = differences(template, entry)
        reworded = not set(changed) <= {"name"}
        if changed:
            write(template, entry, now)
        if reworded:
            template.audit, template.audit_reason, template.checked_at = Audit.PENDING, "", now
        if changed:
            log_action(session, actor, "edit", NOUN, template_id, now, name=template.name, changed=changed)
    return reworded


def approve(template_id: int, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Mark the template as approved: the provider has approved exactly the text the person saw.

    Approving an approved one again records that it was compared with the provider now.
    """
    require(actor, Right.TEMPLATES_APPROVE)
    _decide(template_id, mark, Audit.APPROVED, "", actor, now)


def refuse(template_id: int, reason: str, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Mark the template as refused, with the provider's reason; raises Refusal without one.

    Runs being sent with it are held.
    """
    require(actor, Right.TEMPLATES_APPROVE)
    if not reason.strip():
        raise Refusal(Problem("refusal_reason_missing", "reason"))
    _decide(template_id, mark, Audit.REFUSED, reason.strip(), actor, now)


def _decide(template_id: int, mark: str, audit: Audit, reason: str, actor: Actor, now: dt.datetime) -> None:
    with writing() as session:
        template = _locked(session, template_id, mark)
        template.audit, template.audit_reason = audit, reason
        template.checked_at = template.updated_at = now
        session.flush()
        approvals.hold_running(session, template.channel_id, now)
        action = "approve" if audit is Audit.APPROVED else "refuse"
        log_action(session, actor, action, NOUN, template_id, now, name=template.name)


def delete(template_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove the template; raises Refusal while a campaign that is not over uses it."""
    require(actor, Right.TEMPLATES_WRITE)
    with writing() as session:
        template = lock_row(session, SmsTemplate, template_id)
        if template is None:
            raise NotFound(NOUN)
        used_by = store.users(session, template_id)
        if used_by:
            names = ", ".join(campaign.name or f"#{campaign.id}" for campaign in used_by[:3])
            raise Refusal(Problem("template_in_use", "", {"count": len(used_by), "names": names}))
        if archive.was_sent(session, Item.TEMPLATE, template_id):
            raise Refusal(Problem("template_was_sent"))
        log_action(session, actor, "delete", NOUN, template_id, now, name=template.name, code=template.code)
        session.delete(template)


def _errors(entry: Entry) -> list[Problem]:
    return [problem for problem in entry_problems(entry) if not problem.warning]


def _contact_errors(channel: ChannelRow | None, text: str) -> list[Problem]:
    """Return the contacts in a text that the channel's provider does not take at all."""
    objections = contact_problems(text, {}, mobiles_allowed=registrations.takes_mobiles(channel))
    return [problem for problem in objections if not problem.warning]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise Refusal(*problems)


def _locked(session: Session, template_id: int, mark: str) -> SmsTemplate:
    template = lock_row(session, SmsTemplate, template_id)
    if template is None:
        raise NotFound(NOUN)
    if seen(template) != mark:
        raise Conflict(noun=NOUN)
    return template


def added(
    channel_id: int, entry: Entry, audit: Audit, reason: str, source: TemplateSource, now: dt.datetime
) -> SmsTemplate:
    """Return a new row, not yet in a session."""
    row = SmsTemplate(
        channel_id=channel_id, audit=audit, audit_reason=reason, source=source, created_at=now, checked_at=now
    )
    write(row, entry, now)
    return row


def differences(template: SmsTemplate, entry: Entry) -> list[str]:
    """Return the names of the fields in which the entry differs from the stored template."""
    return [name for name in FIELDS if getattr(template, name) != getattr(entry, name)]


def write(template: SmsTemplate, entry: Entry, now: dt.datetime) -> None:
    for name in FIELDS:
        setattr(template, name, getattr(entry, name))
    template.updated_at = now
