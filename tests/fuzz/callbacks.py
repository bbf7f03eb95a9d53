"""What must hold for every callback, however odd."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import logging
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import strategies as st

from smsapp.channels.contract import Channel
from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import Callback, Receipt
from smsapp.domain.message import Status
from smsapp.services.channels import accounts
from smsapp.services.receipts import callback_inbox, consumer, unmatched_retry
from smsapp.services.reports import verify
from tests import builders, channels, ledgers
from tests.channels.contract import HttpContract
from tests.fuzz import odd
from tests.inboxes import unread


def _contracts() -> dict[str, type[HttpContract]]:
    """Return the contract tests of every kind of account that is called back, by name."""
    for module in pkgutil.iter_modules(channels.__path__, "tests.channels."):
        importlib.import_module(module.name)
    called_back = [contract for contract in HttpContract.__subclasses__() if contract.receipts]
    return {contract.__name__.removeprefix("Test").lower(): contract for contract in called_back}


PROVIDERS = _contracts()
ANSWERED = frozenset({200, 201, 204, 400, 403, 404, 413})
HEADERS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60)
"""Servers pass on no other characters."""
MESSAGES = 60
"""Of the run that the callbacks' references may name."""


def genuine(provider: str) -> list[Callback]:
    """Return callbacks as this provider sends them."""
    return [callback for callback, _ in PROVIDERS[provider].receipts]


@st.composite
def odd_callbacks(draw: st.DrawFn, provider: str) -> Callback:
    """Callbacks like a provider's with something odd in them."""
    callback = draw(st.sampled_from(genuine(provider)))
    body, query = callback.body, callback.query
    document = _json(body)
    match draw(st.sampled_from(("values", "values", "bytes", "query", "headers"))):
        case "values" if document is not None:
            body = odd.dumped(draw(odd.changed(document)))
        case "values" if b"=" in body:
            body = draw(odd.changed_form(body.decode("latin-1"))).encode()
        case "values" | "query" if query:
            query = draw(odd.changed_form(query))
        case "headers":
            callback = replace(
                callback, headers={"content-type": draw(HEADERS), "x-amz-sns-message-type": draw(HEADERS)}
            )
        case _:
            body = draw(odd.broken(body or b"x"))
    return replace(callback, body=body, query=query)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


class World:
    """A channel of one provider, and a run whose messages its callbacks may name."""

    def __init__(self, provider: str, folder: Path, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = now
        contract = PROVIDERS[provider]()
        self.adapter: Channel = contract.ready(contract.make("http://127.0.0.1:1", folder))
        monkeypatch.setattr(accounts, "adapter", lambda _channel_id: self.adapter)
        self.channel = builders.channel(kind=self.adapter.kind, callback_token="tok-en")
        segment = builders.segment()
        template = builders.template(self.channel.id)
        campaign = builders.campaign(channel_id=self.channel.id, segment_id=segment.id, template_id=template.id)
        for run_id in sorted(_runs_named(PROVIDERS[provider])):
            ledgers.run(campaign, [(Status.ACCEPTED, "", "", MESSAGES)], {}, id=run_id, channel_id=self.channel.id)

    def apply(self, callback: Callback, errors: list[logging.LogRecord]) -> None:
        """Store and apply it twice: nothing fails, nothing waits for ever, the sums are right."""
        errors.clear()
        for _ in range(2):
            callback_inbox.keep(self.channel.id, [callback], self.now)
            consumer.apply_callbacks(self.now)
            unmatched_retry.retry(self.now)
        assert not errors, [line.getMessage() for line in errors]
        assert unread() == []
        broken = [check for check in verify.verify() if check.broken]
        assert not broken, broken

    def call(self, client: FlaskClient, callback: Callback, errors: list[logging.LogRecord]) -> None:
        """Call the public address with it: the answer is one that says something to a provider."""
        answer = client.open(
            f"/callbacks/tok-en?{callback.query}",
            method="POST" if callback.method == "PULL" else callback.method,
            data=callback.body,
            headers=dict(callback.headers),
        )
        # 503 is the answer while a provider cannot be asked whether a callback is its own.
        assert answer.status_code in ANSWERED | ({503} if self.adapter.needs_confirmation(callback) else set())
        assert not errors, [line.getMessage() for line in errors]


def _runs_named(contract: type[HttpContract]) -> set[int]:
    refs = [item.ref for _, items in contract.receipts for item in items if isinstance(item, Receipt) and item.ref]
    return {7, *(int(ref.partition("-")[0]) for ref in refs)}


async def unreachable(*_args: object, **_more: object) -> object:
    """Stand in for the HTTP client: no provider is asked."""
    raise OutcomeUnknown("timeout")
