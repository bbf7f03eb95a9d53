"""Pigeon post: JSON over HTTP, an answer per message, signed callbacks. The first of the two files."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, PLAIN_HTTP, TIMEOUT, max_concurrency
from smsapp.channels.base import (
    Balance,
    Callback,
    CallbackRefused,
    Channel,
    OutcomeUnknown,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
)
from smsapp.channels.base import msgid as _l
from smsapp.channels.http import raise_for_status
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer, HttpClient

TAKEN = "0"
CODES = {"17": Outcome.BAD_NUMBER, "23": Outcome.OPTED_OUT, "31": Outcome.CONTENT_REFUSED}


class Pigeon(Channel):
    """One request for up to a hundred messages; each has its own answer, and brings our reference back."""

    kind = "pigeon"
    label = _l("Pigeon post")
    about = _l("Slow, but it does not need the line.")
    settings = (
        Setting("url", _l("Address"), Widget.URL, "https://api.pigeon.example", True, section=ACCOUNT),
        Setting("api_key", _l("API key"), Widget.SECRET, required=True, section=ACCOUNT),
        max_concurrency("20"),
        TIMEOUT,
        PLAIN_HTTP,
    )
    callback_steps = (_l("Enter this address in the console of the pigeon loft."),)
    per_request = 100
    tells_balance = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._url = self.values["url"].rstrip("/")
        self._key = self.values["api_key"]
        self._timeout = float(self.values["timeout"])
        self._plain_http = self.values["plain_http"] == "1"
        self.max_concurrency = int(float(self.values["max_concurrency"]))

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Hand over one request; a message the answer does not mention is unconfirmed."""
        messages = [{"ref": message.ref, "to": message.phone, "text": message.text} for message in submission.messages]
        answer = await self._call("POST", "/messages", json.dumps({"messages": messages}).encode(), http)
        results = answer.fields().get("results")
        if not isinstance(results, list) or not results:
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        results_by_ref = {str(result.get("ref")): result for result in results if isinstance(result, dict)}
        return [_answer(results_by_ref.get(message.ref)) for message in submission.messages]

    async def _call(self, method: str, path: str, body: bytes | None, http: HttpClient) -> HttpAnswer:
        headers = {"X-Api-Key": self._key, "Content-Type": "application/json"}
        url = self._url + path
        answer = await http.request(method, url, headers, body, timeout=self._timeout, plain_http=self._plain_http)
        raise_for_status(answer)
        return answer

    async def test_credentials(self, http: HttpClient) -> str:
        return str((await self.balance(http)).amount)

    async def balance(self, http: HttpClient) -> Balance:
        """Return the grains of corn that are left."""
        left = (await self._call("GET", "/balance", None, http)).fields().get("corn")
        if not isinstance(left, int):
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        return Balance(Decimal(left))

    def verify_callback(self, callback: Callback) -> None:
        """Compare the signature over the body."""
        given = callback.headers.get("x-pigeon-signature", "")
        if not hmac.compare_digest(given.encode(), signature(self._key, callback.body).encode()):
            raise CallbackRefused

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts, or the reply, in a callback; raises ValueError."""
        items = json.loads(callback.body)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("a callback is a list of objects")
        return [_news(item) for item in items]


def signature(key: str, body: bytes) -> str:
    """Return what the loft writes beside a callback."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _answer(result: dict[str, Any] | None) -> SubmitResult:
    code = "" if result is None else str(result.get("code", ""))
    if result is None or not code:
        return SubmitResult(False, unconfirmed=True)
    if code == TAKEN:
        return SubmitResult(True, str(result.get("id", "")))
    return SubmitResult(False, outcome=CODES.get(code, Outcome.UNKNOWN), code=code)


def _news(item: dict[str, Any]) -> Receipt | Reply:
    if "words" in item:
        return Reply(str(item.get("from", "")), str(item["words"]))
    if not item.get("ref") or not item.get("state"):
        raise ValueError("nothing that names a message")
    if item["state"] == "landed":
        return Receipt(ReceiptStatus.DELIVERED, str(item["ref"]))
    code = str(item.get("code", ""))
    return Receipt(ReceiptStatus.UNDELIVERED, str(item["ref"]), outcome=CODES.get(code, Outcome.UNKNOWN), code=code)
