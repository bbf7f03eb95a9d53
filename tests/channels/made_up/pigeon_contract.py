"""Pigeon post: one answer per message, signed callbacks. The second of the two files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply
from smsapp.domain.outcome import Outcome
from tests.channels.contract import PASSWORD, PHONE, HttpContract, dumped
from tests.channels.made_up.pigeon import Pigeon, signature


def called(*items: dict[str, str]) -> Callback:
    body = dumped(list(items))
    return Callback("POST", "", {"x-pigeon-signature": signature(PASSWORD, body)}, body)


def results(body: bytes, code: str) -> web.Response:
    sent = json.loads(body)["messages"]
    # Backwards, because the loft promises no order.
    return web.json_response(
        {"results": [{"ref": message["ref"], "id": f"p{message['ref']}", "code": code} for message in reversed(sent)]}
    )


class TestPigeon(HttpContract):
    receipts = (
        (called({"ref": "7-1", "state": "landed"}), [Receipt(ReceiptStatus.DELIVERED, "7-1")]),
        (
            called({"ref": "7-1", "state": "eaten", "code": "99"}),
            [Receipt(ReceiptStatus.UNDELIVERED, "7-1", outcome=Outcome.UNKNOWN, code="99")],
        ),
        (called({"from": PHONE, "words": "TD"}), [Reply(PHONE, "TD")]),
    )

    def make(self, url: str, folder: Path, **values: str) -> Pigeon:
        defaults = {setting.name: setting.default for setting in Pigeon.settings}
        made = defaults | {"url": url, "api_key": PASSWORD} | values
        assert Pigeon.check(made) == []
        return Pigeon(made, folder)

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        return results(body, "0")

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        return results(body, code)

    def forged(self, callback: Callback) -> Sequence[Callback]:
        mark = callback.headers["x-pigeon-signature"]
        return [
            Callback("POST", "", {}, callback.body),
            Callback("POST", "", {"x-pigeon-signature": mark}, callback.body + b" "),
        ]
