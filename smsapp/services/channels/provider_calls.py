"""Calls of providers: made, counted and logged without secrets, numbers or bodies.

A sender collects the calls of a batch and stores them with its answers, once per batch.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient, RecordStatuses
from smsapp.channels.types import SubmitRequest, SubmitResult
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.phone import mask_inside
from smsapp.domain.storable import storable
from smsapp.store.channels import channel_health as store
from smsapp.store.db import writing

MOST_KEPT = 5
"""The latest so many successful calls of a batch are logged, and as many failed ones."""
MOST_CALLS = 200
"""Calls in a channel's log."""
KEPT = dt.timedelta(days=30)
"""How long the hourly counts are kept."""


@dataclass(slots=True)  # not frozen, as OutboundMessage
class Call:
    """One call; `begun` is the machine's monotonic time."""

    what: str
    begun: float
    seconds: float
    result: CallResult
    messages: int = 0
    outcome: Outcome | None = None
    code: str = ""
    status: int | None = None


def failed(what: str, begun: float, error: ChannelError, messages: int = 0, status: int | None = None) -> Call:
    """Return the call that ended just now with this error."""
    return Call(what, begun, _since(begun), error.result, messages, error.outcome, error.code, status)


@dataclass
class Calls:
    """The calls of one batch: all counted, the latest kept for the log."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    good: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    bad: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))

    def take(self) -> Calls:
        """Return the calls so far, and start with empty ones."""
        calls = Calls(self.counts.copy(), self.good.copy(), self.bad.copy())
        for collection in (self.counts, self.good, self.bad):
            collection.clear()
        return calls

    def give_back(self, calls: Calls) -> None:
        """Put these back in front of the present ones."""
        self.counts.update(calls.counts)
        self.good = deque([*calls.good, *self.good], maxlen=MOST_KEPT)
        self.bad = deque([*calls.bad, *self.bad], maxlen=MOST_KEPT)

    async def send(self, adapter: Channel, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send a request and return its answers, or raise what the adapter raises; the result is noted."""
        n, begun = len(submission.messages), time.monotonic()
        with RecordStatuses() as statuses:
            try:
                answers = await adapter.send(submission, http)
            except ChannelError as error:
                self.counts[error.result, error.outcome or ""] += n
                self._note(failed("send", begun, error, n, _last(statuses)))
                raise
            except Exception:
                self.counts[CallResult.OUTCOME_UNKNOWN, Outcome.OUR_FAULT] += n
                self._note(
                    Call(
                        "send", begun, _since(begun), CallResult.OUTCOME_UNKNOWN, n, Outcome.OUR_FAULT, "adapter_fault"
                    )
                )
                raise
            except BaseException:  # cancelled with the sender: its messages are unconfirmed, as after a lost answer
                self.counts[CallResult.OUTCOME_UNKNOWN, ""] += n
                raise
        self._note(self._count_results(answers, n, begun, _last(statuses)))
        return answers

    def _count_results(self, answers: Sequence[SubmitResult], n: int, begun: float, status: int | None) -> Call:
        """Count a request's answers and return its call: a failure if the provider accepted none of its messages."""
        if len(answers) == n and all(answer.accepted for answer in answers):
            self.counts[CallResult.OK, ""] += n
            return Call("send", begun, _since(begun), CallResult.OK, n, status=status)
        self.counts[CallResult.OUTCOME_UNKNOWN, ""] += max(n - len(answers), 0)
        for answer in answers:
            self.counts[told(answer), answer.outcome or ""] += 1
        first = next((answer for answer in answers if not answer.accepted), SubmitResult(False, unconfirmed=True))
        any_accepted = any(answer.accepted for answer in answers)
        result = CallResult.OK if any_accepted else told(first)
        return Call("send", begun, _since(begun), result, n, first.outcome, first.code, status)

    def _note(self, call: Call) -> None:
        (self.good if call.result is CallResult.OK and not call.code else self.bad).append(call)


def told(answer: SubmitResult) -> CallResult:
    """Return the result of one message's answer."""
    if answer.accepted:
        return CallResult.OK
    return CallResult.OUTCOME_UNKNOWN if answer.unconfirmed else CallResult.REFUSED


def _since(begun: float) -> float:
    return time.monotonic() - begun


def _last(statuses: Sequence[int]) -> int | None:
    return statuses[-1] if statuses else None


def write_down(session: Session, channel_id: int, adapter: Channel, calls: Calls, now: dt.datetime) -> None:
    """Add a batch's calls to the channel's hourly counts and log, in the caller's transaction."""
    store.add(session, channel_id, calls.counts, now)
    latest = sorted([*calls.good, *calls.bad], key=lambda call: call.begun)
    store.store_calls(session, [_row(channel_id, adapter, call, now) for call in latest])


def note(session: Session, channel_id: int, adapter: Channel | None, call: Call, now: dt.datetime) -> None:
    """Add one call to the channel's log and, if it carried messages, to its hourly counts."""
    if call.messages:
        reason = "" if call.result is CallResult.OK else call.outcome or ""
        store.add(session, channel_id, {(call.result, reason): call.messages}, now)
    store.store_calls(session, [_row(channel_id, adapter, call, now)])


def _row(channel_id: int, adapter: Channel | None, call: Call, now: dt.datetime) -> dict[str, Any]:
    return {
        "channel_id": channel_id,
        "at": now - dt.timedelta(seconds=max(_since(call.begun), 0)),
        "what": call.what,
        "messages": call.messages,
        "milliseconds": round(call.seconds * 1000),
        "status": call.status,
        "result": call.result,
        "outcome": call.outcome or "",
        "code": scrubbed(call.code, adapter),
    }


def scrubbed(code: str, adapter: Channel | None) -> str:
    """Return a provider's code without what looks like a number or is one of the channel's secrets."""
    for setting in adapter.settings if adapter else ():
        secret = adapter.values.get(setting.name, "") if adapter and setting.secret else ""
        if secret:
            code = code.replace(secret, "***")
    return mask_inside(storable(code))[:80]


def forget_old(now: dt.datetime) -> None:
    """Add up hourly counts older than KEPT, and remove of each channel all but the latest MOST_CALLS calls."""
    with writing() as session:
        store.fold_hours(session, now - KEPT)
        store.delete_calls(session, MOST_CALLS)
