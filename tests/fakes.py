"""A provider that does what a test tells it, counts what it gets, and never sleeps."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, Reply, SubmitRequest, SubmitResult, UnconfirmedMessage
from smsapp.domain.sms_template import TemplateSnapshot
from smsapp.services.channels import accounts

Script = Callable[[SubmitRequest], list[SubmitResult] | ChannelError | None]
"""What to do with a submission: answers, an error to raise, or None for "all accepted"."""


class FakeChannel(Channel):
    """Takes everything, unless `script` says otherwise; `sent` counts submits per reference."""

    kind: ClassVar[str] = "simulator"
    label: ClassVar[str] = "Fake"
    settings: ClassVar = ()
    quiet_hours_exempt = False

    def __init__(self, per_request: int = 100, script: Script | None = None) -> None:
        super().__init__({}, Path("nowhere"))
        self.per_request = per_request
        self.script = script
        self.sent: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.numbers: Counter[str] = Counter()
        self.asked: list[str] = []
        self.known: dict[str, Sequence[Receipt]] = {}
        """Its answers to status queries, by reference."""
        self.callbacks: dict[bytes, Sequence[Receipt | Reply]] = {}

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        result = self.script(submission) if self.script else None
        if isinstance(result, ChannelError):
            raise result
        for message in submission.messages:
            self.sent[message.ref] += 1
            self.numbers[message.phone] += 1
            self.texts[message.phone] = message.text
        return (
            result if result is not None else [SubmitResult(True, f"p{message.ref}") for message in submission.messages]
        )

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        self.asked += [pending.message.ref for pending in unconfirmed]
        return [receipt for pending in unconfirmed for receipt in self.known.get(pending.message.ref, ())]

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        if callback.body not in self.callbacks:
            raise ValueError("unreadable")
        return self.callbacks[callback.body]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    """Every channel of the application talks to this provider."""
    fake = FakeChannel()
    monkeypatch.setattr(accounts, "adapter", lambda _channel_id: fake)
    return fake


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += dt.timedelta(**by)


@pytest.fixture
def clock(now: dt.datetime) -> FakeClock:
    return FakeClock(now)
