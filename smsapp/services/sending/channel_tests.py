"""Trying a channel out: does the account answer, does one message leave, what is left on the account.

Only here a page waits for a provider; meanwhile no transaction is open.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient, RecordStatuses
from smsapp.channels.types import Balance, OutboundMessage, SubmitRequest, SubmitResult, TemplateSnapshot
from smsapp.channels.types import msgid as _l
from smsapp.domain import numbering, phone
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.sms_template import Purpose, compile_text, full_text, variables
from smsapp.services.channels import call_log, channels
from smsapp.services.channels.call_log import Call
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import held_connections
from smsapp.services.templates import sms_templates
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.replies import opted_out
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import times

log = logging.getLogger(__name__)

CONNECTED = _l("The connection stands.")
TESTS_PER_HOUR = 20
"""So many test messages a person may send: a campaign to one number at a time is no test."""
TEST_SECONDS = 20.0
"""A person waits for the answer, so a test waits less than sending does."""


@dataclass(frozen=True)
class TestResult:
    """What came of a test, what the provider said, and its own code."""

    result: CallResult
    said: str = ""
    outcome: Outcome | None = None
    code: str = ""
    provider_ref: str = ""
    balance: Balance | None = None
    status: int | None = None
    begun: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.result is CallResult.OK

    def call(self, what: str, messages: int = 0) -> Call:
        """Return the line of the log."""
        return Call(what, self.begun, self.seconds, self.result, messages, self.outcome, self.code, self.status)


def test_credentials(channel_id: int, actor: Actor, now: dt.datetime) -> TestResult:
    """Ask the provider whether the account answers, keep the result and return it. Sends no SMS."""
    row = channels.row(channel_id)
    adapter = channels.new_adapter(row)
    trial = _as_it_stands(row, now) or run_test(adapter, _asked)
    with writing() as session:
        found = channels.locked(session, channel_id)
        found.checked_at = now
        found.check_result = trial.result
        call_log.note(session, channel_id, adapter, trial.call("check"), now)
        audit_log.log_action(
            session, actor, "check", "channel", channel_id, now, name=found.name, result=found.check_result
        )
    return trial


def _as_it_stands(row: ChannelRow, now: dt.datetime) -> TestResult | None:
    """Return what the held connection tells about the account: many providers permit no second one. None: ask."""
    held = held_connections.standing(row, now) if channels.needs_holder(row) else None
    if held is None or not (held.up or held.code):
        return None
    outcome = Outcome(held.outcome) if held.outcome else None
    said = CONNECTED if held.up else ""
    return TestResult(held_connections.check(held), said, outcome, held.code, begun=time.monotonic())


async def _asked(made: Channel, http: HttpClient) -> TestResult:
    return TestResult(CallResult.OK if made.can_check else CallResult.UNTESTED, await made.test_credentials(http))


def ask_balance(channel_id: int, now: dt.datetime) -> TestResult:
    """Ask the provider what is left on the account, keep it with its time, and return it.

    The last known balance stays if the provider does not answer. Raises Refusal if this account tells none.
    """
    adapter = channels.new_adapter(channels.row(channel_id))
    if not adapter.tells_balance:
        raise Refusal(Problem("channel_tells_no_balance"))
    trial = run_test(adapter, _left)
    with writing() as session:
        found = channels.locked(session, channel_id)
        if trial.ok:
            found.balance = trial.balance.amount if trial.balance else None
            found.balance_currency = trial.balance.currency if trial.balance else ""
            found.balance_at = now
        call_log.note(session, channel_id, adapter, trial.call("balance"), now)
    return trial


async def _left(made: Channel, http: HttpClient) -> TestResult:
    return TestResult(CallResult.OK, balance=await made.balance(http))


def ask_balances(now: dt.datetime) -> None:
    """Ask every active channel whose account tells its balance."""
    for row in channels.choices():
        try:
            if channels.adapter_of(row).tells_balance:
                ask_balance(row.id, now)
        except Exception:
            # One channel's fault must not keep the others' balances old.
            log.exception("balance.fault channel=%s", row.id)


@dataclass(frozen=True)
class TestText:
    """What a test message says: a free text, or a template with the values of its variables, by their names."""

    text: str = field(default="", repr=False)
    template_id: int | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def value_place(position: int) -> str:
    """Return the place of problems with the value of a template's variable; the first one is 1."""
    return f"value_{position}"


def template_of(channel: ChannelRow, template_id: int | None) -> SmsTemplate | None:
    """Return the template of this channel that a test may use: an approved one."""
    return next((row for row in sms_templates.choices(channel.id) if row.id == template_id), None)


def _composed(
    channel: ChannelRow, adapter: Channel, wanted: TestText
) -> tuple[TemplateSnapshot, str, tuple[str, ...], list[Problem]]:
    """Return the template, the whole text, the values in order, and what is wrong with them."""
    text = wanted.text.strip()
    if wanted.template_id is None:
        problems = [] if text or adapter.needs_template else [Problem("test_text_missing", "text")]
        if adapter.needs_template:
            problems.append(Problem("test_template_missing", "template"))
        return TemplateSnapshot("", text, "", (), False), text, (), problems
    template = template_of(channel, wanted.template_id)
    if template is None:
        return TemplateSnapshot("", "", "", (), False), "", (), [Problem("test_template_missing", "template")]
    names = variables(template.text)
    values = tuple(wanted.values.get(name, "").strip() for name in names)
    problems = [
        Problem("test_value_missing", value_place(position), {"variable": name})
        for position, (name, value) in enumerate(zip(names, values, strict=True), start=1)
        if not value
    ]
    problems += [
        Problem("test_value_unknown", "values", {"variable": name}) for name in wanted.values if name not in names
    ]
    marketing = template.purpose == Purpose.MARKETING
    facts = TemplateSnapshot(template.code, template.text, template.signature, names, marketing)
    return facts, full_text(template.signature, compile_text(template.text)(values)), values, problems


def test_send(channel_id: int, number: str, wanted: TestText, actor: Actor, now: dt.datetime) -> TestResult:
    """Really send one text to one number and return what the provider said.

    Raises Refusal for a number that is unusable or on the opt-out list, for a text that the provider cannot be given,
    and if this person sent too many in an hour.
    """
    found = channels.row(channel_id)
    adapter = channels.new_adapter(found)
    to = phone.normalise(number, channels.country_of(found))
    facts, text, values, text_problems = _composed(found, adapter, wanted)
    problems = []
    if not to:
        problems.append(Problem("test_number_unreadable", "number"))
    problems += text_problems
    if to and not numbering.is_allowed(to, found.countries, found.number_classes):
        problems.append(Problem("test_number_not_allowed", "number"))
    if to in opted_out([to]):
        problems.append(Problem("test_number_opted_out", "number"))
    by = actor.user_id
    if by is not None and times(current_session(), by, "test_send", now - dt.timedelta(hours=1)) >= TESTS_PER_HOUR:
        problems.append(Problem("test_send_often", facts={"most": TESTS_PER_HOUR}))
    if problems:
        raise Refusal(*problems)
    message = OutboundMessage(f"test-{secrets.token_hex(8)}", to, text, values)
    submission = SubmitRequest(facts, [message], channels.callback_url(found))
    trial = send_one(adapter, submission)
    with writing() as session:
        call_log.note(session, channel_id, adapter, trial.call("test", 1), now)
        told = {"name": found.name, "number": phone.mask(to), "result": trial.result, "digest": digest(text)}
        told |= {"template": facts.code} if facts.code else {}
        audit_log.log_action(session, actor, "test_send", "channel", channel_id, now, **told)
    return trial


def digest(text: str) -> str:
    """Return what tells which text was sent without holding it: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def send_one(adapter: Channel, submission: SubmitRequest) -> TestResult:
    """Hand over the one message and return what the provider said."""
    return run_test(adapter, lambda made, http: _sent(made, submission, http))


async def _sent(made: Channel, submission: SubmitRequest, http: HttpClient) -> TestResult:
    async with made.open_connection(http):
        answer: SubmitResult = (await made.send(submission, http))[0]
    return TestResult(call_log.told(answer), outcome=answer.outcome, code=answer.code, provider_ref=answer.provider_ref)


def run_test(
    made: Channel, ask: Callable[[Channel, HttpClient], Awaitable[TestResult]], seconds: float | None = None
) -> TestResult:
    """Return what the channel said within TEST_SECONDS, or these; no transaction is open meanwhile."""
    current_session().commit()
    begun = time.monotonic()

    async def story() -> TestResult:
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=TEST_SECONDS, connections=2) as http:
            with RecordStatuses() as statuses:
                try:
                    async with asyncio.timeout(seconds or TEST_SECONDS):
                        trial = await ask(made, http)
                except ChannelError as error:
                    trial = TestResult(error.result, outcome=error.outcome, code=error.code)
                except TimeoutError:
                    trial = TestResult(CallResult.OUTCOME_UNKNOWN, outcome=Outcome.NETWORK, code="timeout")
        return replace(trial, status=statuses[-1] if statuses else None)

    return replace(asyncio.run(story()), begun=begun, seconds=time.monotonic() - begun)
