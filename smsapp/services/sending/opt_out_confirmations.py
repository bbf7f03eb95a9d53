"""The text that confirms a person's opt-out: off unless a channel has a template for it, and sent once at most.

It is claimed before the call, so if the worker dies it stays unsent rather than being sent twice. A reply to it causes
no other: the number is on the list, and only a new entry is confirmed.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets

from smsapp.channels.types import OutboundMessage, SubmitRequest
from smsapp.domain import phone
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.optout import Confirmation
from smsapp.domain.outcome import CallResult
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import Purpose, TemplateSnapshot, full_text, is_usable, variables
from smsapp.services.channels import account_calls, accounts, provider_calls, registry
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts.applying import TEST_REF
from smsapp.services.templates import sms_templates
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)

CHORE = Actor("opt-out confirmation")
AT_ONCE = 100
"""Most confirmations sent by one call of `send_due`; the next call sends the others."""


def choices(channel_id: int) -> list[SmsTemplate]:
    """Return the templates that can confirm an opt-out: approved, no marketing, no variables."""
    return [row for row in sms_templates.choices(channel_id) if _fits(row, channel_id)]


def _fits(row: SmsTemplate | None, channel_id: int) -> bool:
    if row is None or row.channel_id != channel_id or not is_usable(row.audit, row.purpose):
        return False
    return row.purpose != Purpose.MARKETING and not variables(row.text)


def choose(channel_id: int, template_id: int | None, actor: Actor, now: dt.datetime) -> None:
    """Confirm opt-outs with this template from now on; None: do not confirm. Raises Refusal for an unfit template."""
    require(actor, Right.CHANNELS_WRITE)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        template = session.get(SmsTemplate, template_id) if template_id is not None else None
        if template_id is not None and not _fits(template, channel_id):
            raise Refusal(Problem("confirmation_unfit", "template"))
        if channel.opt_out_template_id != template_id:
            channel.opt_out_template_id = template_id
            template_name = template.name if template else ""
            audit_log.log_action(
                session, actor, "edit", "channel", channel_id, now, name=channel.name, confirmation=template_name
            )


def has_work(_now: dt.datetime) -> bool:
    """Return whether a confirmation is due."""
    return bool(store.due_confirmations(current_session(), 1))


def send_due(now: dt.datetime) -> int:
    """Send the confirmations that are due; return how many the providers accepted."""
    accepted = 0
    for opt_out_id in store.due_confirmations(current_session(), AT_ONCE):
        try:
            accepted += _send(opt_out_id, now)
        except Exception:
            # Claimed already, so it is not tried again; it must not stop the others.
            log.exception("confirmation.fault opt_out=%s", opt_out_id)
    return accepted


def _send(opt_out_id: int, now: dt.datetime) -> bool:
    with writing() as session:
        if not store.move_confirmation(session, opt_out_id, Confirmation.DUE, Confirmation.UNCONFIRMED, now):
            return False
        entry = session.get(OptOut, opt_out_id, populate_existing=True)
        row = session.get(ChannelRow, entry.channel_id) if entry and entry.channel_id else None
        template = session.get(SmsTemplate, row.opt_out_template_id) if row and row.opt_out_template_id else None
        if entry is None or row is None or not row.active or template is None or not _fits(template, row.id):
            store.move_confirmation(session, opt_out_id, Confirmation.UNCONFIRMED, Confirmation.FAILED, now)
            return False
        text = full_text(template.signature, template.text)
        facts = TemplateSnapshot(template.code, template.text, template.signature, (), False)
        message = OutboundMessage(f"{TEST_REF}{secrets.token_hex(8)}", entry.phone, text, ())
        submission = SubmitRequest(facts, [message], accounts.callback_url(row))
        masked, channel_id = phone.mask(entry.phone), row.id
    adapter = registry.new_adapter(accounts.row(channel_id))
    trial = account_calls.send_one(adapter, submission)
    ends = Confirmation.SENT if trial.ok else Confirmation.FAILED
    if trial.result is CallResult.OUTCOME_UNKNOWN:
        ends = Confirmation.UNCONFIRMED
    with writing() as session:
        store.move_confirmation(session, opt_out_id, Confirmation.UNCONFIRMED, ends, now)
        provider_calls.note(session, channel_id, adapter, trial.call("confirm", 1), now)
        audit_log.log_action(session, CHORE, "send", "opt_out", masked, now, result=trial.result)
    return trial.ok


def chosen(channel_id: int) -> SmsTemplate | None:
    """Return the template chosen to confirm this channel's opt-outs, even if it cannot be sent now."""
    row = current_session().get(ChannelRow, channel_id)
    return current_session().get(SmsTemplate, row.opt_out_template_id) if row and row.opt_out_template_id else None
