"""Pigeon post: JSON over HTTP, an answer per message, signed callbacks. The first of the two files."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, PLAIN_HTTP, TIMEOUT, max_concurrency
from smsapp.channels.contract import Channel
from smsapp.channels.errors import CallbackRefused, OutcomeUnknown
from smsapp.channels.http import HttpAnswer, HttpClient, raise_for_status
from smsapp.channels.types import Balance, Callback, Receipt, ReceiptStatus, Reply, SubmitRequest, SubmitResult
from smsapp.channels.types import msgid as _l
from smsapp.domain.outcome import Outcome

ACCEPTED = "0"
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

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._url = self.values["url"].rstrip("/")
        self._key = self.values["api_key"]
        self._timeout = self.values.number("timeout")
        self._plain_http = self.values.flag("plain_http")
        self.max_concurrency = self.values.whole("max_concurrency")

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; a message the answer does not mention is unconfirmed."""
        messages = [{"ref": message.ref, "to": message.phone, "text": message.text} for message in submission.messages]
        answer = await self._call("POST", "/messages", json.dumps({"messages": messages}).encode(), http)
        results = answer.fields().get("results")
        if not isinstance(results, list) or not results:
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        by_ref = {str(result.get("ref")): result for result in results if isinstance(result, dict)}
        return [_result(by_ref.get(message.ref)) for message in submission.messages]

    async def _call(self, method: str, path: str, body: bytes | None, http: HttpClient) -> HttpAnswer:
        headers = {"X-Api-Key": self._key, "Content-Type": "application/json"}
        url = self._url + path
        answer = await http.request(method, url, headers, body, timeout=self._timeout, plain_http=self._plain_http)
        raise_for_status(answer)
        return answer

    async def test_credentials(self, http: HttpClient) -> str:
        return str((await self.balance(http)).amount)

    async def balance(self, http: HttpClient) -> Balance:
        """Return how many grains of corn are left."""
        grains = (await self._call("GET", "/balance", None, http)).fields().get("corn")
        if not isinstance(grains, int):
            raise OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)
        return Balance(Decimal(grains))

    def verify_callback(self, callback: Callback) -> None:
        """Raise CallbackRefused unless the signature is the one over the body."""
        received = callback.headers.get("x-pigeon-signature", "")
        if not hmac.compare_digest(received.encode(), signature(self._key, callback.body).encode()):
            raise CallbackRefused

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts, or the reply, in a callback; raises ValueError."""
        items = json.loads(callback.body)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("a callback is a list of objects")
        return [_receipt_or_reply(item) for item in items]


def signature(key: str, body: bytes) -> str:
    """Return the value of the header with which the loft signs a callback."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _result(item: dict[str, Any] | None) -> SubmitResult:
    code = "" if item is None else str(item.get("code", ""))
    if item is None or not code:
        return SubmitResult(False, unconfirmed=True)
    if code == ACCEPTED:
        return SubmitResult(True, str(item.get("id", "")))
    return SubmitResult(False, outcome=CODES.get(code, Outcome.UNKNOWN), code=code)


def _receipt_or_reply(item: dict[str, Any]) -> Receipt | Reply:
    if "words" in item:
        return Reply(str(item.get("from", "")), str(item["words"]))
    if not item.get("ref") or not item.get("state"):
        raise ValueError("nothing that names a message")
    if item["state"] == "landed":
        return Receipt(ReceiptStatus.DELIVERED, str(item["ref"]))
    code = str(item.get("code", ""))
    return Receipt(ReceiptStatus.UNDELIVERED, str(item["ref"]), outcome=CODES.get(code, Outcome.UNKNOWN), code=code)
