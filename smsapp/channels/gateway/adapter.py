"""Any HTTP gateway: the settings describe the request, how to read the answer, and how to read receipts.

Presets fill the form for Kannel and Jasmin. A gateway gives one answer per request, so a request carries one text, to
one number or to several.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from smsapp.channels._addresses import is_http_address
from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels._numbers import format_number
from smsapp.channels._setting import Values, read_outcome
from smsapp.channels._shared_settings import PLAIN_HTTP
from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, OutcomeUnknown, Throttled
from smsapp.channels.gateway.callbacks import CallbackReader
from smsapp.channels.gateway.notation import (
    AnswerBody,
    Encode,
    Rule,
    Template,
    ValuePath,
    comma_separated,
    for_form,
    for_header,
    for_json,
    for_url,
    for_xml,
    lines,
    unencoded,
    unknown_placeholders,
)
from smsapp.channels.gateway.presets import JASMIN, KANNEL
from smsapp.channels.gateway.settings import GUIDE, SETTINGS
from smsapp.channels.http import STATUSES, HttpAnswer, HttpClient, retry_after
from smsapp.channels.types import Acknowledgement, Balance, Callback, Receipt, Reply, SubmitRequest, SubmitResult
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome

BODIES: dict[str, tuple[Encode, str]] = {
    # body format: how values are written into it, and the content type
    "none": (unencoded, ""),
    "form": (for_form, "application/x-www-form-urlencoded"),
    "json": (for_json, "application/json"),
    "xml": (for_xml, "text/xml"),
    "text": (unencoded, "text/plain"),
}

FIXED = ("username", "password", "token", "sender")
PER_REQUEST = ("to", "text", "unsigned_text", "text_hex", "signature", "template_code", "ref", "callback_url")
TEXTS = ("text", "unsigned_text", "text_hex")
PATHS = ("check_where", "balance_where", "accepted_where", "id_where", "code_where")
VALID_MINUTES = 24 * 60
"""For how many minutes a message is valid whose campaign has no limit."""
PLACEHOLDERS = (*FIXED, *PER_REQUEST, "receipt_url", "valid_minutes")


class Gateway(Channel):
    """One request carries one text, as the settings describe."""

    kind = "gateway"
    label = _l("HTTP gateway")
    about = _l(
        "Any provider or gateway that is called over HTTP, described by templates. Kannel and Jasmin are prepared."
    )
    presets = (KANNEL, JASMIN)
    plain_setting = PLAIN_HTTP.name
    settings = SETTINGS
    guide = GUIDE
    callback_steps = (
        _l("Receipts need no set-up: each message brings its receipt address to the gateway, as the settings say."),
        _l("The gateway must reach this address: PUBLIC_URL (or HOST and PORT) has to be one it can call."),
        _l("Replies: have the gateway call this address with sender and text, under the names in the settings."),
        _l("Kannel: as get-url of an sms-service. Jasmin: as an HTTP connector with a route for incoming messages."),
    )

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._method = values["method"]
        self._charset = values["charset"]
        fixed = {name: values[name] for name in FIXED}
        encode, content_type = BODIES[values["body_format"]]
        self._url = Template(values["url"], for_url, self._charset, fixed)
        self._receipt_url = ("", Template("", for_url))
        self._body = None if not content_type else Template(values["body"], encode, self._charset, fixed)
        self._headers = self._read_headers(values, content_type, fixed)
        self._check_url = values["check_url"] and Template(values["check_url"], for_url, self._charset, fixed).fill({})
        self._check_where, self._balance, self._accepted, self._id, self._code = (
            ValuePath(values[name]) if values[name] else None for name in PATHS
        )
        self.tells_balance = bool(self._check_url and self._balance)
        self._accepted_values = comma_separated(values["accepted_values"])
        self._rules = [Rule.parse(line) for line in lines(values["rules"])]
        self._needed = self._url.names.union(
            self._body.names if self._body else (), *(template.names for _, template in self._headers)
        )
        self.needs_template = "template_code" in self._needed and self._needed.isdisjoint(TEXTS)
        self._number_format = values["number_format"]
        self._separator = values["separator"] or ","
        self._timeout = values.number("timeout")
        self._plain_http = values.flag("plain_http")
        self._callbacks = CallbackReader(values, shared_ref=values.whole("per_request") > 1)
        self.max_concurrency = values.whole("max_concurrency")
        self.per_request = values.whole("per_request")
        self.equal_texts_only = self.per_request > 1
        self.receipts_by_provider_ref = self.per_request > 1 or not values["receipt_ref"]

    def _read_headers(self, values: Values, content_type: str, fixed: Mapping[str, str]) -> list[tuple[str, Template]]:
        headers = [_read_header(line) for line in lines(values["headers"])]
        names = {name.lower() for name, _ in headers}
        if content_type and "content-type" not in names:
            headers.append(("Content-Type", f"{content_type}; charset={self._charset}"))
        if values.flag("basic_auth"):
            pair = f"{values['username']}:{values['password']}".encode()
            headers.append(("Authorization", "Basic " + base64.b64encode(pair).decode()))
        return [(name, Template(value, for_header, self._charset, fixed)) for name, value in headers]

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; all its messages get the same answer, because the gateway gives only one."""
        values = self._values(submission)
        answer = await http.request(
            self._method,
            self._url.fill(values),
            {name: template.fill(values) for name, template in self._headers},
            self._body.fill(values).encode(self._charset, "replace") if self._body else None,
            timeout=self._timeout,
            plain_http=self._plain_http,
        )
        result = self._read_answer(answer)
        if result.accepted and self.per_request > 1 and self.values["receipt_ref"]:
            # The receipts of all its numbers name the one reference this request was sent with.
            result = SubmitResult(True, submission.messages[0].ref)
        return [result] * len(submission.messages)

    def _values(self, submission: SubmitRequest) -> dict[str, str]:
        first_message = submission.messages[0]
        template = submission.template
        values = {
            "to": self._separator.join([self._number(message.phone) for message in submission.messages]),
            "text": first_message.text,
            "ref": first_message.ref,
            "callback_url": submission.callback_url,
            "signature": template.signature,
            "template_code": template.code,
        }
        if "valid_minutes" in self._needed:
            values["valid_minutes"] = str(self._valid_minutes(submission))
        if "receipt_url" in self._needed:
            values["receipt_url"] = self._receipt_address(values)
        if "unsigned_text" in self._needed:
            values["unsigned_text"] = first_message.text.removeprefix(f"【{template.signature}】")
        if "text_hex" in self._needed:
            values["text_hex"] = first_message.text.encode("utf-16-be", "replace").hex()
        return values

    def _valid_minutes(self, submission: SubmitRequest) -> int:
        """Return the whole minutes for which the messages are valid."""
        if submission.valid_until is None:
            return VALID_MINUTES
        return max(1, int((submission.valid_until.timestamp() - self.clock()) / 60))

    def _receipt_address(self, values: Mapping[str, str]) -> str:
        """Return the address for receipts, with everything but our own address encoded; "" without a callback_url."""
        address = values["callback_url"]
        if not address:
            return ""
        if self._receipt_url[0] != address:
            text = self.values["receipt_url"].replace("{callback_url}", address)
            self._receipt_url = (address, Template(text, for_url, self._charset))
        return self._receipt_url[1].fill(values)

    def _number(self, phone: str) -> str:
        return format_number(phone, self._number_format, self.country)

    def _read_answer(self, answer: HttpAnswer) -> SubmitResult:
        body = AnswerBody(answer)
        code = self._code.find(body) if self._code else None
        code_text = (code or f"HTTP {body.status}")[:CODE_LENGTH]
        rule = next((rule for rule in self._rules if rule.matches(body, code)), None)
        if rule is None:
            return self._result_by_status(answer, body, code, code_text)
        if rule.result == "accepted":
            return self._accepted_result(body)
        if rule.result == "refused":
            return SubmitResult(False, outcome=rule.outcome or Outcome.UNKNOWN, code=code_text)
        if rule.result == "throttled":
            raise Throttled(code_text, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
        if rule.result == "misconfigured":
            raise AccountError(code_text, outcome=rule.outcome or Outcome.CREDENTIALS)
        raise OutcomeUnknown(code_text, outcome=rule.outcome or Outcome.UNKNOWN)

    def _result_by_status(self, answer: HttpAnswer, body: AnswerBody, code: str | None, code_text: str) -> SubmitResult:
        """Read an answer that no rule matches, by its HTTP status and the sign of acceptance."""
        if body.status == 429:
            raise Throttled(code_text, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
        if body.status in STATUSES or 300 <= body.status < 400:
            raise AccountError(code_text, outcome=STATUSES.get(body.status, Outcome.OUR_FAULT))
        if body.status >= 500:
            raise OutcomeUnknown(code_text, outcome=Outcome.PROVIDER_FAULT)
        if body.status >= 400:
            return SubmitResult(False, outcome=Outcome.UNKNOWN, code=code_text)
        if self._accepted is None:
            return self._accepted_result(body)
        value = self._accepted.find(body)
        if value is None:
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        if self._accepted_values and value not in self._accepted_values:
            return SubmitResult(False, outcome=Outcome.UNKNOWN, code=(code or value)[:CODE_LENGTH])
        return self._accepted_result(body)

    def _accepted_result(self, body: AnswerBody) -> SubmitResult:
        return SubmitResult(True, ((self._id.find(body) if self._id else None) or "")[:CODE_LENGTH])

    @property
    def can_check(self) -> bool:
        return bool(self._check_url)

    async def test_credentials(self, http: HttpClient) -> str:
        """Call the checking address; return the value at `check_where`, or the HTTP status."""
        if not self._check_url:
            return _l("This gateway cannot check the account; verify it with a test message.")
        answer = await self._call_check_url(http)
        body = AnswerBody(answer)
        value = self._check_where.find(body) if self._check_where else None
        if value is not None:
            return value[:CODE_LENGTH]
        self._read_answer(answer)
        if self._check_where is not None or answer.status >= 400:
            raise AccountError(f"HTTP {answer.status}", outcome=Outcome.CREDENTIALS)
        return f"HTTP {answer.status}"

    async def _call_check_url(self, http: HttpClient) -> HttpAnswer:
        return await http.request(
            "GET",
            self._check_url,
            {name: template.fill({}) for name, template in self._headers if not template.names},
            timeout=self._timeout,
            plain_http=self._plain_http,
        )

    async def balance(self, http: HttpClient) -> Balance | None:
        """Return the number in the checking address's answer; None for any other word, which means no limit."""
        answer = await self._call_check_url(http)
        text = self._balance.find(AnswerBody(answer)) if self._balance else None
        if text is None:
            self._read_answer(answer)
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        try:
            amount = Decimal(text)
        except InvalidOperation:
            return None
        currency = self.values["balance_currency"].upper()[:3]
        return Balance(amount, currency) if amount.is_finite() else None

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipt or reply in the parameters, or all in a JSON body; raises ValueError."""
        return self._callbacks.read(callback, self.country)

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(body=self.values["callback_answer"].encode())

    @classmethod
    def calls_address(cls, name: str, values: Mapping[str, str]) -> bool:
        """Return whether we call this address; the receipt address is called by the gateway."""
        return name in {"url", "check_url"}

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        problems = []
        for name in ("url", "headers", "body", "receipt_url", "check_url"):
            allowed = {"check_url": FIXED, "receipt_url": PER_REQUEST}.get(name, PLACEHOLDERS)
            problems += [
                Problem("gateway_placeholder", name, {"placeholder": "{" + placeholder + "}"})
                for placeholder in unknown_placeholders(values.get(name, ""), allowed)
            ]
        for name in ("url", "check_url"):
            if values.get(name) and not is_http_address(values[name]):
                problems.append(Problem("setting_address", name))
        for name in PATHS:
            problems += _unreadable_lines(name, [values.get(name, "")], ValuePath, "gateway_place")
        problems += _unreadable_lines("rules", lines(values.get("rules", "")), Rule.parse, "gateway_rule")
        problems += _unreadable_lines(
            "receipt_outcomes", lines(values.get("receipt_outcomes", "")), read_outcome, "setting_outcome"
        )
        problems += _unreadable_lines("headers", lines(values.get("headers", "")), _read_header, "gateway_header")
        if (
            values.get("per_request", "1").isdecimal()
            and int(values["per_request"]) > 1
            and not values.get("receipt_phone")
        ):
            problems.append(Problem("gateway_batch_phone", "receipt_phone"))
        return problems


def _unreadable_lines(name: str, notations: list[str], read: Any, code: str) -> list[Problem]:
    problems = []
    for notation in notations:
        try:
            if notation:
                read(notation)
        except ValueError:
            problems.append(Problem(code, name, {"line": notation}))
    return problems


def _read_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or any(char in ' \t"(),/;<=>?@[\\]{}' for char in name.strip()):
        raise ValueError(line)
    return name.strip(), value.strip()
