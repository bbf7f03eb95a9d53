"""Channel tests: whether the account answers, whether one message leaves, and the account's balance.

Only here a page waits for a provider; no transaction is open meanwhile.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.channels.types import OutboundMessage, SubmitRequest
from smsapp.channels.types import msgid as _l
from smsapp.domain import numbering, phone
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import Purpose, TemplateSnapshot, compile_text, full_text, variables
from smsapp.services.channels import account_calls, accounts, provider_calls, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import held_connections
from smsapp.services.templates import sms_templates
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.replies import refusing
from smsapp.store.db import current_session, writing
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import times

log = logging.getLogger(__name__)

CONNECTED = _l("The connection stands.")
TESTS_PER_HOUR = 20
"""The most test messages of a person, so that nobody sends a campaign as tests."""


def test_credentials(channel_id: int, actor: Actor, now: dt.datetime) -> TestResult:
    """Check the account at the provider, store the result and return it. Sends no SMS."""
    require(actor, Right.CHANNELS_WRITE)
    row = accounts.row(channel_id)
    adapter = registry.new_adapter(row)
    trial = _as_it_stands(row, now) or account_calls.run_test(adapter, _account_result)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        channel.checked_at = now
        channel.check_result = trial.result
        provider_calls.note(session, channel_id, adapter, trial.call("check"), now)
        audit_log.log_action(
            session, actor, "check", "channel", channel_id, now, name=channel.name, result=channel.check_result
        )
    return trial


def _as_it_stands(row: ChannelRow, now: dt.datetime) -> TestResult | None:
    """Return the result by the held connection, since many providers permit no second one; None: ask the provider."""
    connection = held_connections.standing(row, now) if registry.needs_holder(row) else None
    if connection is None or not (connection.up or connection.code):
        return None
    outcome = Outcome(connection.outcome) if connection.outcome else None
    text = CONNECTED if connection.up else ""
    return TestResult(held_connections.check(connection), text, outcome, connection.code, begun=time.monotonic())


async def _account_result(adapter: Channel, http: HttpClient) -> TestResult:
    return TestResult(CallResult.OK if adapter.can_check else CallResult.UNTESTED, await adapter.test_credentials(http))


def ask_balance(channel_id: int, now: dt.datetime) -> TestResult:
    """Query the account's balance, store it with its time, and return the result.

    The last known balance stays if the provider does not answer. Raises Refusal if this account has no such query.
    """
    adapter = registry.new_adapter(accounts.row(channel_id))
    if not adapter.tells_balance:
        raise Refusal(Problem("channel_tells_no_balance"))
    trial = account_calls.run_test(adapter, _balance_result)
    with writing() as session:
        channel = accounts.locked(session, channel_id)
        if trial.ok:
            channel.balance = trial.balance.amount if trial.balance else None
            channel.balance_currency = trial.balance.currency if trial.balance else ""
            channel.balance_at = now
        provider_calls.note(session, channel_id, adapter, trial.call("balance"), now)
    return trial


async def _balance_result(adapter: Channel, http: HttpClient) -> TestResult:
    return TestResult(CallResult.OK, balance=await adapter.balance(http))


def ask_balances(now: dt.datetime) -> None:
    """Query the balance of every active channel that can be queried."""
    for row in accounts.choices():
        try:
            if registry.adapter_of(row).tells_balance:
                ask_balance(row.id, now)
        except Exception:
            # One channel's fault must not stop the others' queries.
            log.exception("balance.fault channel=%s", row.id)


@dataclass(frozen=True)
class TestText:
    """The content of a test message: a free text, or a template with the values of its variables, by their names."""

    text: str = field(default="", repr=False)
    template_id: int | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def value_place(position: int) -> str:
    """Return the form field of a template variable's value; the first one is 1."""
    return f"value_{position}"


def template_of(channel: ChannelRow, template_id: int | None) -> SmsTemplate | None:
    """Return the template of this channel that a test may use: an approved one."""
    return next((row for row in sms_templates.choices(channel.id) if row.id == template_id), None)


def _composed(
    channel: ChannelRow, adapter: Channel, content: TestText
) -> tuple[TemplateSnapshot, str, tuple[str, ...], list[Problem]]:
    """Return the template, the whole text, the values in order, and the problems."""
    text = content.text.strip()
    if content.template_id is None:
        problems = [] if text or adapter.needs_template else [Problem("test_text_missing", "text")]
        if adapter.needs_template:
            problems.append(Problem("test_template_missing", "template"))
        return TemplateSnapshot("", text, "", (), False), text, (), problems
    template = template_of(channel, content.template_id)
    if template is None:
        return TemplateSnapshot("", "", "", (), False), "", (), [Problem("test_template_missing", "template")]
    names = variables(template.text)
    values = tuple(content.values.get(name, "").strip() for name in names)
    problems = [
        Problem("test_value_missing", value_place(position), {"variable": name})
        for position, (name, value) in enumerate(zip(names, values, strict=True), start=1)
        if not value
    ]
    problems += [
        Problem("test_value_unknown", "values", {"variable": name}) for name in content.values if name not in names
    ]
    marketing = template.purpose == Purpose.MARKETING
    facts = TemplateSnapshot(template.code, template.text, template.signature, names, marketing)
    return facts, full_text(template.signature, compile_text(template.text)(values)), values, problems


def test_send(channel_id: int, number: str, content: TestText, actor: Actor, now: dt.datetime) -> TestResult:
    """Really send one text to one number and return the result.

    Raises Refusal for a number that is unusable or on the opt-out list, for a text that the channel cannot send, and if
    this person has sent too many in an hour.
    """
    require(actor, Right.CHANNELS_TEST)
    channel = accounts.row(channel_id)
    adapter = registry.new_adapter(channel)
    to = phone.normalise(number, registry.country_of(channel))
    facts, text, values, text_problems = _composed(channel, adapter, content)
    problems = []
    if not to:
        problems.append(Problem("test_number_unreadable", "number"))
    problems += text_problems
    if to and not numbering.is_allowed(to, channel.countries, channel.number_classes):
        problems.append(Problem("test_number_not_allowed", "number"))
    if to in refusing(current_session(), [to], marketing=facts.marketing, signature=facts.signature):
        problems.append(Problem("test_number_opted_out", "number"))
    by = actor.user_id
    if by is not None and times(current_session(), by, "test_send", now - dt.timedelta(hours=1)) >= TESTS_PER_HOUR:
        problems.append(Problem("test_send_often", facts={"most": TESTS_PER_HOUR}))
    if problems:
        raise Refusal(*problems)
    message = OutboundMessage(f"test-{secrets.token_hex(8)}", to, text, values)
    submission = SubmitRequest(facts, [message], accounts.callback_url(channel))
    trial = account_calls.send_one(adapter, submission)
    with writing() as session:
        provider_calls.note(session, channel_id, adapter, trial.call("test", 1), now)
        details = {"name": channel.name, "number": phone.mask(to), "result": trial.result, "digest": digest(text)}
        details |= {"template": facts.code} if facts.code else {}
        audit_log.log_action(session, actor, "test_send", "channel", channel_id, now, **details)
    return trial


def digest(text: str) -> str:
    """Return a digest that identifies a text without containing it: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
