"""A kind of channel for measurements only: many different texts in one JSON request, one answer for each of them.

It lies outside the product; `bench/worker.py` puts this folder where the product looks for its kinds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from smsapp.channels._setting import Setting
from smsapp.channels.contract import Channel
from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, SubmitRequest, SubmitResult
from smsapp.domain.outcome import Outcome


class SinkChannel(Channel):
    """What most providers of whole texts look like, without a signature to compute."""

    kind = "sink"
    label = "Sink"
    settings = (
        Setting("url", "Address"),
        Setting("per_request", "Messages per request", default="100"),
        Setting("max_concurrency", "Requests in flight", default="50"),
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.per_request = int(self.values["per_request"])
        self.max_concurrency = int(self.values["max_concurrency"])

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Post the texts; the sink answers with one id for the request."""
        messages = [
            {"ref": message.ref, "phone": message.phone, "text": message.text} for message in submission.messages
        ]
        body = json.dumps({"messages": messages}).encode()
        answer = await http.request("POST", self.values["url"], {"Content-Type": "application/json"}, body)
        reply = answer.fields()
        if reply.get("code") != 0:
            raise OutcomeUnknown("unreadable")
        return [SubmitResult(True, f"{reply['id']}-{message.ref}") for message in submission.messages]

    def read_callback(self, callback: Callback) -> Sequence[Receipt]:
        """Return the receipts in a list of {"ref", "news"}, some with "code" and "outcome"."""
        return [
            Receipt(
                ReceiptStatus(item["news"]),
                item["ref"],
                outcome=Outcome(item["outcome"]) if "outcome" in item else None,
                code=item.get("code", "DELIVRD"),
            )
            for item in json.loads(callback.body)
        ]
