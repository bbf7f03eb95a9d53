"""Any gateway that speaks HTTP: what to call, how to read its answer and its receipts, written down in the settings.

Presets fill the form for Kannel and Jasmin. A gateway says one thing per request, so a request carries one text, to one
number or to several.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from smsapp.channels._common_settings import PLAIN_HTTP
from smsapp.channels._numbers import as_written, e164
from smsapp.channels._setting import Values
from smsapp.channels.base import (
    AccountError,
    Acknowledgement,
    Balance,
    Callback,
    Channel,
    OutcomeUnknown,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
    Throttled,
    is_address,
)
from smsapp.channels.base import msgid as _l
from smsapp.channels.gateway.notation import (
    STEP,
    Body,
    Encode,
    Place,
    Rule,
    Template,
    as_it_is,
    as_text,
    for_form,
    for_header,
    for_json,
    for_url,
    for_xml,
    lines,
    unknown_placeholders,
    walk,
    words,
)
from smsapp.channels.gateway.presets import JASMIN, KANNEL
from smsapp.channels.gateway.settings import GUIDE, SETTINGS
from smsapp.channels.http import STATUSES, retry_after
from smsapp.channels.smpp.receipts import smsc_code
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer, HttpClient

CODE_LENGTH = 80
MOST_FIELDS = 1000
"""Parameters of one callback that are read."""
UCS2 = {"8", "\x08"}
"""SMPP's data coding of 16-bit text, as a figure and as Jasmin writes it."""

BODIES: dict[str, tuple[Encode, str]] = {
    # body format: how values are written into it, and the content type
    "none": (as_it_is, ""),
    "form": (for_form, "application/x-www-form-urlencoded"),
    "json": (for_json, "application/json"),
    "xml": (for_xml, "text/xml"),
    "text": (as_it_is, "text/plain"),
}

FIXED = ("username", "password", "token", "sender")
PER_REQUEST = ("to", "text", "unsigned_text", "text_hex", "signature", "template_code", "ref", "callback_url")
TEXTS = ("text", "unsigned_text", "text_hex")
PLACES = ("check_where", "balance_where", "accepted_where", "id_where", "code_where")
PLACEHOLDERS = (*FIXED, *PER_REQUEST, "receipt_url")


class Gateway(Channel):
    """One request for one text; the settings say how."""

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

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
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
            Place(values[name]) if values[name] else None for name in PLACES
        )
        self.tells_balance = bool(self._check_url and self._balance)
        self._accepted_values = words(values["accepted_values"])
        self._rules = [Rule.read(line) for line in lines(values["rules"])]
        self._needed = self._url.names.union(
            self._body.names if self._body else (), *(template.names for _, template in self._headers)
        )
        self.needs_template = "template_code" in self._needed and self._needed.isdisjoint(TEXTS)
        self._number_format = values["number_format"]
        self._separator = values["separator"] or ","
        self._timeout = values.number("timeout")
        self._plain_http = values.flag("plain_http")
        self._news = {
            **dict.fromkeys(words(values["waiting_values"]), ReceiptStatus.ACCEPTED),
            **dict.fromkeys(words(values["undelivered_values"]), ReceiptStatus.UNDELIVERED),
            **dict.fromkeys(words(values["delivered_values"]), ReceiptStatus.DELIVERED),
        }
        self._outcomes = dict(_outcome(line) for line in lines(values["receipt_outcomes"]))
        self._receipt = values
        self.max_concurrency = values.whole("max_concurrency")
        self.per_request = values.whole("per_request")
        self.equal_texts_only = self.per_request > 1
        self.receipts_by_provider_ref = self.per_request > 1 or not values["receipt_ref"]

    def _read_headers(self, values: Values, content_type: str, fixed: Mapping[str, str]) -> list[tuple[str, Template]]:
        found = [_header(line) for line in lines(values["headers"])]
        names = {name.lower() for name, _ in found}
        if content_type and "content-type" not in names:
            found.append(("Content-Type", f"{content_type}; charset={self._charset}"))
        if values.flag("basic_auth"):
            pair = f"{values['username']}:{values['password']}".encode()
            found.append(("Authorization", "Basic " + base64.b64encode(pair).decode()))
        return [(name, Template(value, for_header, self._charset, fixed)) for name, value in found]

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Make one request; everything it carries gets the same answer, because the gateway gives only one."""
        values = self._values(submission)
        answer = await http.request(
            self._method,
            self._url.fill(values),
            {name: template.fill(values) for name, template in self._headers},
            self._body.fill(values).encode(self._charset, "replace") if self._body else None,
            timeout=self._timeout,
            plain_http=self._plain_http,
        )
        found = self._read_answer(answer)
        if found.accepted and self.per_request > 1 and self._receipt["receipt_ref"]:
            # The receipts of all its numbers bring back the one reference this request was sent with.
            found = SubmitResult(True, submission.messages[0].ref)
        return [found] * len(submission.messages)

    def _values(self, submission: SubmitRequest) -> dict[str, str]:
        first = submission.messages[0]
        template = submission.template
        values = {
            "to": self._separator.join([self._number(message.phone) for message in submission.messages]),
            "text": first.text,
            "ref": first.ref,
            "callback_url": submission.callback_url,
            "signature": template.signature,
            "template_code": template.code,
        }
        if "receipt_url" in self._needed:
            values["receipt_url"] = self._receipt_address(values)
        if "unsigned_text" in self._needed:
            values["unsigned_text"] = first.text.removeprefix(f"【{template.signature}】")
        if "text_hex" in self._needed:
            values["text_hex"] = first.text.encode("utf-16-be", "replace").hex()
        return values

    def _receipt_address(self, values: Mapping[str, str]) -> str:
        """Return the address for receipts, with everything but our own address encoded; "" if we have none."""
        address = values["callback_url"]
        if not address:
            return ""
        if self._receipt_url[0] != address:
            text = self._receipt["receipt_url"].replace("{callback_url}", address)
            self._receipt_url = (address, Template(text, for_url, self._charset))
        return self._receipt_url[1].fill(values)

    def _number(self, phone: str) -> str:
        return as_written(phone, self._number_format, self.country)

    def _read_answer(self, answer: HttpAnswer) -> SubmitResult:
        body = Body(answer)
        code = self._code.find(body) if self._code else None
        shown = (code or f"HTTP {body.status}")[:CODE_LENGTH]
        rule = next((rule for rule in self._rules if rule.fits(body, code)), None)
        if rule is None:
            return self._unruled(answer, body, code, shown)
        if rule.verdict == "accepted":
            return self._taken(body)
        if rule.verdict == "refused":
            return SubmitResult(False, outcome=rule.outcome or Outcome.UNKNOWN, code=shown)
        if rule.verdict == "throttled":
            raise Throttled(shown, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
        if rule.verdict == "misconfigured":
            raise AccountError(shown, outcome=rule.outcome or Outcome.CREDENTIALS)
        raise OutcomeUnknown(shown, outcome=rule.outcome or Outcome.UNKNOWN)

    def _unruled(self, answer: HttpAnswer, body: Body, code: str | None, shown: str) -> SubmitResult:
        """Read an answer no rule speaks of: the meaning of HTTP's own words."""
        if body.status == 429:
            raise Throttled(shown, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
        if body.status in STATUSES or 300 <= body.status < 400:
            raise AccountError(shown, outcome=STATUSES.get(body.status, Outcome.OUR_FAULT))
        if body.status >= 500:
            raise OutcomeUnknown(shown, outcome=Outcome.PROVIDER_FAULT)
        if body.status >= 400:
            return SubmitResult(False, outcome=Outcome.UNKNOWN, code=shown)
        if self._accepted is None:
            return self._taken(body)
        found = self._accepted.find(body)
        if found is None:
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        if self._accepted_values and found not in self._accepted_values:
            return SubmitResult(False, outcome=Outcome.UNKNOWN, code=(code or found)[:CODE_LENGTH])
        return self._taken(body)

    def _taken(self, body: Body) -> SubmitResult:
        return SubmitResult(True, ((self._id.find(body) if self._id else None) or "")[:CODE_LENGTH])

    @property
    def can_check(self) -> bool:
        return bool(self._check_url)

    async def test_credentials(self, http: HttpClient) -> str:
        """Call the checking address; return what the gateway said, or "" if it only said yes."""
        if not self._check_url:
            return _l("This gateway cannot check the account; verify it with a test message.")
        answer = await self._checked(http)
        body = Body(answer)
        found = self._check_where.find(body) if self._check_where else None
        if found is not None:
            return found[:CODE_LENGTH]
        self._read_answer(answer)
        if self._check_where is not None or answer.status >= 400:
            raise AccountError(f"HTTP {answer.status}", outcome=Outcome.CREDENTIALS)
        return f"HTTP {answer.status}"

    async def _checked(self, http: HttpClient) -> HttpAnswer:
        return await http.request(
            "GET",
            self._check_url,
            {name: template.fill({}) for name, template in self._headers if not template.names},
            timeout=self._timeout,
            plain_http=self._plain_http,
        )

    async def balance(self, http: HttpClient) -> Balance | None:
        """Return the number in the checking address's answer; any other word there means that nothing limits it."""
        answer = await self._checked(http)
        found = self._balance.find(Body(answer)) if self._balance else None
        if found is None:
            self._read_answer(answer)
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        try:
            left = Decimal(found)
        except InvalidOperation:
            return None
        currency = self.values["balance_currency"].upper()[:3]
        return Balance(left, currency) if left.is_finite() else None

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipt or reply in the parameters, or those in a JSON body; raises ValueError."""
        if self._receipt["receipt_format"] == "parameters":
            return self._read_one(dict(_parameters(callback, self._charset)).get)
        found = json.loads(callback.body)
        if self._receipt["receipt_list"]:
            found = walk(found, STEP.findall(self._receipt["receipt_list"].removeprefix("$")))
        items = found if isinstance(found, list) else [found]
        status: list[Receipt | Reply] = []
        for item in items:
            if not isinstance(item, dict):
                raise ValueError("a receipt is a JSON object")
            status.extend(
                self._read_one(lambda path, item=item: as_text(walk(item, STEP.findall(path.removeprefix("$")))))
            )
        return status

    def _read_one(self, get: Any) -> list[Receipt | Reply]:
        def value(setting: str) -> str:
            name = self._receipt[setting]
            return (get(name) or "").strip() if name else ""

        phone = e164(value("receipt_phone"), self.country)
        if self._receipt["reply_text"] and get(self._receipt["reply_text"]) is not None:
            text = value("reply_text")
            if value("reply_coding") in UCS2:
                text = bytes.fromhex(value("reply_hex")).decode("utf-16-be", "replace").strip()
            sender = value("reply_phone")
            return [Reply(e164(sender, self.country) or sender, text, provider_ref=value("receipt_id"))]
        status = value("receipt_status")
        ref, provider_ref = value("receipt_ref"), value("receipt_id")
        if not status or not (ref or provider_ref):
            raise ValueError("no status, or nothing that names a message")
        # A status nobody described proves neither: the message goes on waiting, the word is kept.
        status = self._news.get(status, ReceiptStatus.ACCEPTED)
        code = value("receipt_code") or status
        known: Outcome | None = None
        if self._receipt["receipt_code_form"] == "smsc":
            code, known = smsc_code(code)
        outcome = None
        if status is ReceiptStatus.UNDELIVERED:
            outcome = self._outcomes.get(code) or self._outcomes.get(status) or known or Outcome.UNKNOWN
        if self.per_request > 1 and ref:
            ref, provider_ref = "", ref
        return [Receipt(status, ref, provider_ref, phone, outcome, code[:CODE_LENGTH])]

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(body=self._receipt["callback_answer"].encode())

    @classmethod
    def called(cls, name: str, values: Mapping[str, str]) -> bool:
        """Say that receipt addresses are the gateway's to call, not ours."""
        return name in {"url", "check_url"}

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        problems = []
        for name in ("url", "headers", "body", "receipt_url", "check_url"):
            allowed = {"check_url": FIXED, "receipt_url": PER_REQUEST}.get(name, PLACEHOLDERS)
            problems += [
                Problem("gateway_placeholder", name, {"placeholder": "{" + found + "}"})
                for found in unknown_placeholders(values.get(name, ""), allowed)
            ]
        for name in ("url", "check_url"):
            if values.get(name) and not is_address(values[name]):
                problems.append(Problem("gateway_address", name))
        for name in PLACES:
            problems += _unreadable(name, [values.get(name, "")], Place, "gateway_place")
        problems += _unreadable("rules", lines(values.get("rules", "")), Rule.read, "gateway_rule")
        problems += _unreadable(
            "receipt_outcomes", lines(values.get("receipt_outcomes", "")), _outcome, "gateway_outcome"
        )
        problems += _unreadable("headers", lines(values.get("headers", "")), _header, "gateway_header")
        if (
            values.get("per_request", "1").isdecimal()
            and int(values["per_request"]) > 1
            and not values.get("receipt_phone")
        ):
            problems.append(Problem("gateway_batch_phone", "receipt_phone"))
        return problems


def _unreadable(name: str, notations: list[str], read: Any, code: str) -> list[Problem]:
    problems = []
    for notation in notations:
        try:
            if notation:
                read(notation)
        except ValueError:
            problems.append(Problem(code, name, {"line": notation}))
    return problems


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or any(char in ' \t"(),/;<=>?@[\\]{}' for char in name.strip()):
        raise ValueError(line)
    return name.strip(), value.strip()


def _outcome(line: str) -> tuple[str, Outcome]:
    code, equals, outcome = line.rpartition("=")
    if not equals or not code.strip():
        raise ValueError(line)
    return code.strip(), Outcome(outcome.strip())


def _parameters(callback: Callback, charset: str) -> list[tuple[str, str]]:
    """Return query and form parameters together."""
    how: dict[str, Any] = {"keep_blank_values": True, "encoding": charset, "errors": "replace"}
    found = parse_qsl(callback.query, max_num_fields=MOST_FIELDS, **how)
    if callback.body:
        found += parse_qsl(callback.body.decode(charset, "replace"), max_num_fields=MOST_FIELDS, **how)
    return found
