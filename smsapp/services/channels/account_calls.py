"""Calls of a provider for which somebody waits: made within some seconds, their result worded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient, RecordStatuses
from smsapp.channels.types import Balance, SubmitRequest, SubmitResult
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.services.channels import provider_calls
from smsapp.services.channels.provider_calls import Call
from smsapp.store.db import current_session
from smsapp.store.settings import settings

TEST_SECONDS = 20.0
"""A person waits for the result, so the timeout is shorter than in sending."""


@dataclass(frozen=True)
class TestResult:
    """The result of a test: the provider's text, code, reference and balance."""

    result: CallResult
    text: str = ""
    outcome: Outcome | None = None
    code: str = ""
    provider_ref: str = ""
    balance: Balance | None = None
    status: int | None = None
    begun: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.result is CallResult.OK

    def call(self, what: str, messages: int = 0) -> Call:
        """Return the entry for the log of calls."""
        return Call(what, self.begun, self.seconds, self.result, messages, self.outcome, self.code, self.status)


def send_one(adapter: Channel, submission: SubmitRequest) -> TestResult:
    """Send the one message and return the result. Raises Refusal if nothing is sent here (NO_SEND)."""
    if settings().NO_SEND:
        raise Refusal(Problem("no_send"))
    return run_test(adapter, lambda adapter, http: _sent(adapter, submission, http))


async def _sent(adapter: Channel, submission: SubmitRequest, http: HttpClient) -> TestResult:
    async with adapter.open_connection(http):
        return await sent_over(adapter, submission, http)


async def sent_over(adapter: Channel, submission: SubmitRequest, http: HttpClient) -> TestResult:
    """Send the one message over an adapter whose connection, if it needs one, is open; raises ChannelError."""
    answer: SubmitResult = (await adapter.send(submission, http))[0]
    return TestResult(
        provider_calls.told(answer), outcome=answer.outcome, code=answer.code, provider_ref=answer.provider_ref
    )


def run_test(
    adapter: Channel, ask: Callable[[Channel, HttpClient], Awaitable[TestResult]], seconds: float | None = None
) -> TestResult:
    """Return the result of `ask`, run for `seconds` at most (or TEST_SECONDS); no transaction is open meanwhile."""
    current_session().commit()

    async def story() -> TestResult:
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=TEST_SECONDS, connections=2) as http:
            return await result_of(adapter, ask, http, seconds)

    return asyncio.run(story())


async def result_of(
    adapter: Channel,
    ask: Callable[[Channel, HttpClient], Awaitable[TestResult]],
    http: HttpClient,
    seconds: float | None = None,
) -> TestResult:
    """Return the result of `ask`, also of one that fails or takes too long."""
    begun = time.monotonic()
    with RecordStatuses() as statuses:
        try:
            async with asyncio.timeout(seconds or TEST_SECONDS):
                trial = await ask(adapter, http)
        except ChannelError as error:
            trial = TestResult(error.result, outcome=error.outcome, code=error.code)
        except TimeoutError:
            trial = TestResult(CallResult.OUTCOME_UNKNOWN, outcome=Outcome.NETWORK, code="timeout")
    status = statuses[-1] if statuses else None
    return replace(trial, status=status, begun=begun, seconds=time.monotonic() - begun)
