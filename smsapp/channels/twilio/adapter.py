"""Twilio Programmable Messaging (API 2010-04-01): one form per message, each with its own answer and receipts.

Each message names the callback address with our reference in it. Twilio signs its calls over that address, so a receipt
names its message even if the answer was lost, and nobody else can forge one.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from smsapp.channels._error_codes import (
    CODE_LENGTH,
    RequestRefused,
    call_error,
    classify_single,
    refusal_error,
    unreadable,
)
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, LIMITS, TIMEOUT, address, max_concurrency
from smsapp.channels.contract import Channel
from smsapp.channels.errors import CallbackRefused
from smsapp.channels.http import HttpAnswer, HttpClient, literal, retry_after
from smsapp.channels.twilio.codes import ERROR_CODES, REPORTS, STATUSES
from smsapp.channels.twilio.signing import signature, spellings
from smsapp.channels.types import (
    Acknowledgement,
    Balance,
    Callback,
    OutboundMessage,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
)
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome

SERVICE = re.compile("MG[0-9a-fA-F]{32}")
REF = "ref"
FORM = "application/x-www-form-urlencoded"


def is_local(address: str) -> bool:
    """Return whether only this machine or its network can call this address."""
    host = urlsplit(address).hostname or ""
    ip = literal(host)
    return host == "localhost" or (ip is not None and not ip.is_global)


class Twilio(Channel):
    """One request carries one message; status callbacks and replies come signed to the callback address."""

    kind = "twilio"
    worldwide = True
    label = "Twilio"
    about = _l("Whole texts to most countries; signed receipts and replies come to the callback address.")
    tells_balance = True
    callback_steps = (
        _l("Receipts need no set-up: each message names this address. PUBLIC_URL must be the address Twilio reaches."),
        _l("For replies, open the number or the messaging service in the Twilio console."),
        _l("Enter this address as the webhook for incoming messages, with the method POST."),
    )
    settings = (
        Setting(
            "account_sid",
            "Account SID",
            required=True,
            hint=_l("It begins with AC."),
            section=ACCOUNT,
            pattern="AC[0-9a-fA-F]{32}",
            example="AC0123456789abcdef0123456789abcdef",
        ),
        Setting(
            "auth_token",
            "Auth Token",
            Widget.SECRET,
            required=True,
            hint=_l("Twilio signs its calls with it, so it is needed even with an API key."),
            section=ACCOUNT,
        ),
        Setting(
            "api_key",
            _l("API key"),
            hint=_l("It begins with SK; requests then use it instead of the auth token."),
            section=ACCOUNT,
            pattern="SK[0-9a-fA-F]{32}",
            example="SK0123456789abcdef0123456789abcdef",
        ),
        Setting("api_secret", _l("Secret of the API key"), Widget.SECRET, section=ACCOUNT),
        Setting(
            "sender",
            _l("Sent from"),
            required=True,
            hint=_l("A number such as +15017122661, a short code, a sender name, or a messaging service (MG…)."),
            section=ACCOUNT,
        ),
        address("https://api.twilio.com"),
        Setting(
            "validity",
            _l("Valid for, seconds"),
            Widget.NUMBER,
            "14400",
            True,
            _l("What waits longer in the provider's queue is not sent any more."),
            low=1,
            high=36_000,
            section=LIMITS,
        ),
        max_concurrency("20"),
        TIMEOUT,
    )

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._sid, self._token = values["account_sid"], values["auth_token"]
        user, password = values["api_key"] or self._sid, values["api_secret"] or self._token
        self._authorization = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        self._sender = values["sender"]
        self._url = values["url"].rstrip("/")
        self._validity = values.whole("validity")
        self._timeout = values.number("timeout")
        self.max_concurrency = values.whole("max_concurrency")

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return the base's problems, and one if an API key is without its secret or the other way round."""
        pair = ("api_key", "api_secret")
        filled = [name for name in pair if values.get(name)]
        missing = [Problem("setting_missing", name) for name in pair if filled and name not in filled]
        return super().check(values) + missing

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request with one message."""
        (message,) = submission.messages
        try:
            return [await self._send(message, submission, http)]
        except RequestRefused as refusal:
            return [refusal.result]

    async def _send(self, message: OutboundMessage, submission: SubmitRequest, http: HttpClient) -> SubmitResult:
        form = {"To": message.phone, "Body": message.text, "ValidityPeriod": self._valid_for(submission)}
        form["MessagingServiceSid" if SERVICE.fullmatch(self._sender) else "From"] = self._sender
        callback_url = submission.callback_url
        if callback_url and (not is_local(callback_url) or is_local(self._url)):
            # Twilio refuses messages that name an address it cannot call.
            form["StatusCallback"] = f"{callback_url}?{REF}={quote(message.ref)}"
        answer = await self._call("POST", "Messages.json", http, urlencode(form).encode())
        fields = answer.fields()
        sid = str(fields.get("sid") or "")[:CODE_LENGTH]
        if answer.status < 300 and sid:
            code = str(fields.get("error_code") or "")[:CODE_LENGTH]
            if STATUSES.get(str(fields.get("status"))) is not ReceiptStatus.UNDELIVERED:
                return SubmitResult(True, sid)
            return SubmitResult(False, sid, REPORTS.get(code, Outcome.UNKNOWN), code)
        code = _code(answer)
        meaning = classify_single(code, answer, ERROR_CODES)
        code = code or f"HTTP {answer.status}"
        raise refusal_error(code, meaning, submission.template, [message], retry_after(answer))

    def _valid_for(self, submission: SubmitRequest) -> str:
        """Return the seconds for which the message is valid: the channel's, or fewer if its campaign has a limit."""
        if submission.valid_until is None:
            return str(self._validity)
        left = int(submission.valid_until.timestamp() - self.clock())
        return str(max(1, min(self._validity, left)))

    async def _call(self, method: str, resource: str, http: HttpClient, body: bytes | None = None) -> HttpAnswer:
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = FORM
        address = f"{self._url}/2010-04-01/Accounts/{quote(self._sid, safe='')}/{resource}"
        return await http.request(method, address, headers, body, timeout=self._timeout)

    async def test_credentials(self, http: HttpClient) -> str:
        balance = await self.balance(http)
        return f"{balance.amount} {balance.currency}"

    async def balance(self, http: HttpClient) -> Balance:
        """Return the balance of the account."""
        answer = await self._call("GET", "Balance.json", http)
        fields = answer.fields()
        if answer.status >= 300 or "balance" not in fields:
            code = _code(answer)
            raise call_error(
                code or f"HTTP {answer.status}", classify_single(code, answer, ERROR_CODES), retry_after(answer)
            )
        try:
            amount = Decimal(str(fields["balance"]))
        except InvalidOperation:
            raise unreadable() from None
        if not amount.is_finite():
            raise unreadable()
        return Balance(amount, str(fields.get("currency") or ""))

    def verify_callback(self, callback: Callback) -> None:
        """Raise CallbackRefused unless the signature is the one over the callback address given to the provider."""
        headers = {name.lower(): value for name, value in callback.headers.items()}
        received = headers.get("x-twilio-signature", "").encode()
        fields = _fields(callback)
        if not any(
            hmac.compare_digest(signature(self._token, address, fields).encode(), received)
            for address in _addresses(callback)
        ):
            raise CallbackRefused

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipt or the reply in the fields; a receipt without our reference is ignored."""
        query = dict(parse_qsl(callback.query))
        fields = query | dict(_fields(callback))
        sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
        reported = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
        if not sid or not reported:
            raise ValueError("neither a receipt nor a reply")
        if reported in {"received", "receiving"}:
            if not fields.get("From"):
                raise ValueError("a reply without a number")
            stops = fields.get("OptOutType", "").upper() == "STOP"
            return [Reply(fields["From"], fields.get("Body", ""), provider_ref=sid, opts_out=stops)]
        ref = query.get(REF, "")
        if not ref:
            return []
        code = fields.get("ErrorCode", "")[:CODE_LENGTH]
        status = STATUSES.get(reported, ReceiptStatus.ACCEPTED)
        if status is not ReceiptStatus.UNDELIVERED:
            return [Receipt(status, ref, sid, code=code)]
        return [Receipt(status, ref, sid, outcome=REPORTS.get(code, Outcome.UNKNOWN), code=code or reported)]

    def acknowledgement(self) -> Acknowledgement:
        """Return an empty TwiML response: Twilio would send a plain text to the person as our reply."""
        return Acknowledgement(content_type="text/xml; charset=utf-8", body=b"<Response></Response>")


def _code(answer: HttpAnswer) -> str:
    """Return the provider's own code in an answer; "" if it has none."""
    code = answer.fields().get("code")
    return str(code)[:CODE_LENGTH] if isinstance(code, int | str) else ""


def _fields(callback: Callback) -> list[tuple[str, str]]:
    return parse_qsl(callback.body.decode("utf-8", "replace"), keep_blank_values=True)


def _addresses(callback: Callback) -> set[str]:
    try:
        return spellings(callback.url)
    except ValueError:
        raise CallbackRefused from None
