"""乐信通 (微网通联, lmobile.cn / 51welink.com): one whole text with its signature to a list of numbers.

The new interface takes JSON with a signed key; the old one, chosen by a setting, takes a form with the plain password.
A request is accepted or refused as a whole and has one id. Receipts and replies are pulled; receipts may be pushed.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from smsapp.channels._error_codes import (
    CODE_LENGTH,
    Messages,
    Scope,
    call_error,
    classify,
    refusal_error,
    seconds_to_wait,
    submit_bisecting,
    unreadable,
)
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import (
    ACCOUNT,
    EXTENSION,
    PLAIN_HTTP,
    RECEIPT,
    TIMEOUT,
    max_concurrency,
    per_request,
)
from smsapp.channels._signed_ref import sign_ref
from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpAnswer, HttpClient
from smsapp.channels.lexintong.codes import BAD_NUMBERS, ERROR_CODES
from smsapp.channels.lexintong.receipts import HOME, read_page, read_pushed
from smsapp.channels.lexintong.signing import access_key
from smsapp.channels.types import Balance, Callback, Receipt, Reply, SubmitRequest, SubmitResult
from smsapp.channels.types import msgid as _l
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot

NEW, OLD = "new", "old"
PAGES = 100
"""Most pages of each kind that one `pull` fetches; the next one fetches the rest."""
ACCEPTED = frozenset({"succ", "0"})
LONGEST_OUT_ID = 32


class Lexintong(Channel):
    """One request carries one text to a list of numbers; receipts name its id and the number."""

    kind = "lexintong"
    home = HOME
    label = _l("Lexintong (Lmobile)")
    about = _l("Whole texts through the product you bought there; receipts and replies are fetched or pushed.")
    equal_texts_only = True
    receipts_by_provider_ref = True
    polls = True
    tells_balance = True
    callback_steps = (
        _l("Nothing needs to be set up while “Fetch receipts and replies” is on."),
        _l("To have receipts pushed instead, give this address to your contact at the provider."),
        _l("Once receipts arrive by push, switch fetching off in the settings. Replies can only be fetched."),
    )
    settings = (
        Setting("account", _l("Account ID"), required=True, section=ACCOUNT),
        Setting("password", _l("Password"), Widget.SECRET, required=True, section=ACCOUNT),
        Setting(
            "product",
            _l("Product number"),
            Widget.NUMBER,
            required=True,
            hint=_l("The product you bought decides kind of traffic, hours and speed, for example 1012812."),
            low=1,
            high=2**31,
            section=ACCOUNT,
        ),
        EXTENSION,
        Setting(
            "interface",
            _l("Interface"),
            Widget.CHOICE,
            NEW,
            True,
            _l("The old one sends the password itself, mostly unencrypted; use it only if the account has no other."),
            ((NEW, _l("new: JSON, signed")), (OLD, _l("old: form, XML"))),
            section=ACCOUNT,
        ),
        Setting("url", _l("Address"), Widget.URL, "https://api.51welink.com", True, section=ACCOUNT),
        Setting(
            "old_url", _l("Address of the old interface"), Widget.URL, "http://cf.51welink.com", True, section=ACCOUNT
        ),
        Setting(
            "pull",
            _l("Fetch receipts and replies"),
            Widget.FLAG,
            "1",
            section=RECEIPT,
            hint=_l("Switch it off if the provider pushes receipts to the callback address."),
        ),
        per_request("500"),
        max_concurrency("10"),
        TIMEOUT,
        PLAIN_HTTP,
    )

    plain_setting = PLAIN_HTTP.name

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._account, self._password = values["account"], values["password"]
        self._product = values.whole("product")
        self._extension = values["extension"]
        self._is_old = values["interface"] == OLD
        self._url, self._old_url = values["url"].rstrip("/"), values["old_url"].rstrip("/")
        self._polls = values.flag("pull")
        self._timeout = values.number("timeout")
        self._plain_http = values.flag("plain_http")
        self.per_request = values.whole("per_request")
        self.max_concurrency = values.whole("max_concurrency")

    @classmethod
    def calls_address(cls, name: str, values: Mapping[str, str]) -> bool:
        """Return whether `name` is the address of the chosen interface; the other one is not called."""
        return (name == "old_url") is (values.get("interface") == OLD)

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; if the provider names bad numbers, the others are sent again without them."""
        return await self._send_all(submission.template, submission.messages, http)

    async def _send_all(self, template: TemplateSnapshot, messages: Messages, http: HttpClient) -> list[SubmitResult]:
        return await submit_bisecting([messages], partial(self._send, template, http))

    async def _send(self, template: TemplateSnapshot, http: HttpClient, messages: Messages) -> list[SubmitResult]:
        numbers = [carrier.national(message.phone) for message in messages]
        if self._is_old:
            code, explanation, ref, answer = await self._submit_old(numbers, messages[0].text, http)
        else:
            code, explanation, ref, answer = await self._submit(numbers, messages, http)
        if code in ACCEPTED:
            return [SubmitResult(True, ref)] * len(messages)
        meaning = classify(code, answer, ERROR_CODES)
        if meaning.scope is Scope.UNKNOWN and ref:
            return [SubmitResult(False, ref, code=code, unconfirmed=True)] * len(messages)
        bad_numbers = set(NUMBERS.findall(explanation)) if code == BAD_NUMBERS else set()
        good = [message for message in messages if carrier.national(message.phone) not in bad_numbers]
        if good and len(good) < len(messages):
            return await self._without(good, ref, template, messages, http)
        raise refusal_error(code, meaning, template, messages, seconds_to_wait(meaning, answer, self.clock()))

    async def _without(
        self, good: Messages, ref: str, template: TemplateSnapshot, messages: Messages, http: HttpClient
    ) -> list[SubmitResult]:
        """Return the results when some numbers were bad; `good` messages are sent again if surely none left."""
        if ref:
            results = [SubmitResult(False, ref, code=BAD_NUMBERS, unconfirmed=True)] * len(good)
        else:
            results = await self._send_all(template, good, http)
        by_ref = {message.ref: result for message, result in zip(good, results, strict=True)}
        bad = SubmitResult(False, outcome=Outcome.BAD_NUMBER, code=BAD_NUMBERS)
        return [by_ref.get(message.ref, bad) for message in messages]

    async def _submit(
        self, numbers: list[str], messages: Messages, http: HttpClient
    ) -> tuple[str, str, str, HttpAnswer]:
        """Send through the new interface; return its code, explanation and id, and the whole answer."""
        values: dict[str, Any] = {
            **self._signed(numbers[0]),
            "ProductId": self._product,
            "PhoneNos": ",".join(numbers),
            "Content": messages[0].text,
        }
        if self._extension:
            values["ExtendNo"] = self._extension
        signed_ref = sign_ref(self._password, messages[0].ref, messages[0].phone)
        if len(messages) == 1 and len(signed_ref) <= LONGEST_OUT_ID:
            values["OutId"] = signed_ref
        answer = await self._post("/EncryptionSubmit/SendSms.ashx", values, http)
        fields = answer.fields()
        code = str(fields.get("Result") if fields.get("Result") is not None else "")
        return code, str(fields.get("Reason") or ""), _id(fields.get("MsgId")), answer

    async def _submit_old(self, numbers: list[str], text: str, http: HttpClient) -> tuple[str, str, str, HttpAnswer]:
        """Send through the old interface; return its code, explanation and id, and the whole answer."""
        form = {
            "sname": self._account,
            "spwd": self._password,
            "scorpid": "",
            "sprdid": str(self._product),
            "sdst": ",".join(numbers),
            "smsg": text,
        }
        answer = await http.request(
            "POST",
            f"{self._old_url}/submitdata/Service.asmx/g_Submit",
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode(form).encode(),
            timeout=self._timeout,
            plain_http=self._plain_http,
        )
        body = answer.text()
        code, explanation, ref = (_element(body, name) for name in ("State", "MsgState", "MsgID"))
        return code, explanation, _id(ref), answer

    def _signed(self, first_number: str = "") -> dict[str, Any]:
        at, random = int(self.clock()), 1 + secrets.randbelow(2**31 - 1)
        key = access_key(self._account, self._password, random, at, first_number)
        return {"AccountId": self._account, "AccessKey": key, "Timestamp": at, "Random": random}

    async def _post(self, path: str, values: Mapping[str, Any], http: HttpClient) -> HttpAnswer:
        return await http.request(
            "POST",
            self._url + path,
            {"Content-Type": "application/json; charset=utf-8"},
            json.dumps(values, ensure_ascii=False).encode(),
            timeout=self._timeout,
            plain_http=self._plain_http,
        )

    async def test_credentials(self, http: HttpClient) -> str:
        return str((await self.balance(http)).amount)

    async def balance(self, http: HttpClient) -> Balance:
        """Return how many messages are left; only the old interface has this query, with the account's password."""
        values = {"sname": self._account, "spwd": self._password, "sprdid": str(self._product)}
        answer = await self._post("/json/Query/GetRemain", values, http)
        fields = answer.fields()
        code = str(fields.get("State", ""))
        if code != "0":
            raise self._error(code, answer)
        remaining = str(fields.get("Remain", ""))
        if not remaining.isdecimal():
            raise unreadable()
        return Balance(Decimal(remaining))

    def _error(self, code: str, answer: HttpAnswer) -> ChannelError:
        meaning = classify(code, answer, ERROR_CODES)
        return call_error(code, meaning, seconds_to_wait(meaning, answer, self.clock()))

    async def pull(self, http: HttpClient) -> AsyncIterator[Callback]:
        """Yield pages of receipts, then of replies, until none are left or a page repeats."""
        if not self._polls:
            return
        for path, name, more in (
            ("/EncryptionQuery/GetReport.ashx", "ReportInfos", {"OutId": "", "ReportTime": ""}),
            ("/EncryptionQuery/GetMo.ashx", "MoInfos", {}),
        ):
            previous: Any = None
            for _ in range(PAGES):
                answer = await self._post(path, {**self._signed(), **more}, http)
                fields = answer.fields()
                code = str(fields.get("Result") if fields.get("Result") is not None else "")
                items = fields.get(name)
                if not items and code not in ACCEPTED:
                    error = self._error(code, answer)
                    if code in ERROR_CODES:
                        raise error
                if not items or items == previous:
                    break
                yield Callback("PULL", "", {}, answer.body)
                previous = items

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts and replies of a pulled page, or a pushed receipt; raises ValueError."""
        if callback.method == "PULL":
            return list(read_page(json.loads(callback.body), self._password))
        body = callback.body.decode("utf-8", "replace")
        return [read_pushed(dict(parse_qsl(callback.query) + parse_qsl(body)), self._password)]


NUMBERS = re.compile(r"(?<!\d)1\d{10}(?!\d)")


def _element(xml: str, name: str) -> str:
    """Return the text of an element of the old interface's flat answer, without an XML parser for foreign input."""
    match = re.search(rf"<{name}>([^<]*)</{name}>", xml)
    return match[1].strip() if match else ""


def _id(raw: object) -> str:
    """Return the id of a request as text; "" if it is missing or zero."""
    return "" if raw in {None, 0, "0"} else str(raw)[:CODE_LENGTH]
