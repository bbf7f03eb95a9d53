"""The meaning of a provider's error codes for a request, and bisecting a request to find the message at fault."""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpAnswer, raise_for_status, retry_after
from smsapp.channels.types import OutboundMessage, SubmitResult
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot

CODE_LENGTH = 80
MOST_REQUESTS = 200
"""Most requests one submission may become while it is bisected."""

Messages = Sequence[OutboundMessage]


class Scope(enum.Enum):
    """What an error code is about."""

    RECIPIENT = "recipient"
    """One of the numbers; the others can be sent."""
    TEXT = "text"
    """The text: one recipient's values, or the template if all texts are equal."""
    TIMING = "timing"
    """Speed or hours: nothing was accepted, a later try will be."""
    ACCOUNT = "account"
    """Key, balance, signature, template, our own fault: nothing was accepted, a person has to act."""
    UNKNOWN = "unknown"
    """The provider itself does not know whether it accepted the messages."""


@dataclass(frozen=True)
class ErrorMeaning:
    scope: Scope
    outcome: Outcome


def recipient_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.RECIPIENT, outcome)


def text_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.TEXT, outcome)


def account_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.ACCOUNT, outcome)


THROTTLED = ErrorMeaning(Scope.TIMING, Outcome.THROTTLED)
OUTSIDE_HOURS = ErrorMeaning(Scope.TIMING, Outcome.OUTSIDE_HOURS)
OUTCOME_UNKNOWN = ErrorMeaning(Scope.UNKNOWN, Outcome.PROVIDER_FAULT)
UNKNOWN_CODE = ErrorMeaning(Scope.RECIPIENT, Outcome.UNKNOWN)

Prefixes = Sequence[tuple[str, ErrorMeaning]]
"""(prefix, meaning) of codes; the first prefix that matches counts."""


def find_meaning(code: str, codes: Mapping[str, ErrorMeaning], prefixes: Prefixes = ()) -> ErrorMeaning | None:
    """Return the meaning of a code in a provider's tables; None if they do not have it."""
    return codes.get(code) or next((meaning for prefix, meaning in prefixes if code.startswith(prefix)), None)


def classify(code: str, answer: HttpAnswer, codes: Mapping[str, ErrorMeaning], prefixes: Prefixes = ()) -> ErrorMeaning:
    """Return the meaning of a code other than success; for an unknown code raises the error of the HTTP status."""
    meaning = find_meaning(code, codes, prefixes)
    if meaning is not None:
        return meaning
    raise_for_status(answer, code[:CODE_LENGTH])
    if not code:
        raise unreadable()
    return UNKNOWN_CODE


def classify_single(code: str, answer: HttpAnswer, codes: Mapping[str, ErrorMeaning]) -> ErrorMeaning:
    """As `classify`, for requests with one message: an unknown code with HTTP status 400 is about that message."""
    if code and answer.status == 400 and code not in codes:
        return UNKNOWN_CODE
    return classify(code, answer, codes)


def unreadable() -> OutcomeUnknown:
    """Return the error for an answer that is not in this provider's format."""
    return OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)


def seconds_to_wait(meaning: ErrorMeaning, answer: HttpAnswer, now: float) -> float | None:
    """Return the seconds to wait after this error: until the hours for marketing, or as the provider asks."""
    if meaning is OUTSIDE_HOURS:
        return carrier.seconds_until_open(dt.datetime.fromtimestamp(now, dt.UTC))
    return retry_after(answer)


class RequestRefused(Exception):
    """The provider accepted none of the request's messages, for a reason that may lie in some of them only."""

    def __init__(self, code: str, outcome: Outcome) -> None:
        self.code = code
        self.outcome = outcome
        super().__init__(code)

    @property
    def result(self) -> SubmitResult:
        """The result of a message that was refused for this reason."""
        return SubmitResult(False, outcome=self.outcome, code=self.code)


def refusal_error(
    code: str, meaning: ErrorMeaning, template: TemplateSnapshot, messages: Messages, retry_after: float | None = None
) -> RequestRefused | ChannelError:
    """Return the error for a request that was refused as a whole with this code.

    It is a RequestRefused if another request with some of these messages may be accepted.
    """
    code = code[:CODE_LENGTH]
    scope = meaning.scope
    if scope is Scope.TEXT:
        all_equal = all(message.values == messages[0].values for message in messages)
        values_differ = bool(template.variables) and (len(messages) == 1 or not all_equal)
        scope = Scope.RECIPIENT if values_differ else Scope.ACCOUNT
    if scope is Scope.RECIPIENT:
        return RequestRefused(code, meaning.outcome)
    return call_error(code, ErrorMeaning(scope, meaning.outcome), retry_after)


def call_error(code: str, meaning: ErrorMeaning, retry_after: float | None = None) -> ChannelError:
    """Return the error for a call as a whole."""
    code = code[:CODE_LENGTH]
    if meaning.scope is Scope.TIMING:
        return Throttled(code, outcome=meaning.outcome, retry_after=retry_after)
    if meaning.scope is Scope.UNKNOWN:
        return OutcomeUnknown(code, outcome=meaning.outcome)
    return AccountError(code, outcome=meaning.outcome)


async def submit_bisecting(
    requests: Sequence[Messages], submit: Callable[[Messages], Awaitable[Sequence[SubmitResult]]]
) -> list[SubmitResult]:
    """Submit each request, in order; return the results of all messages in the order of the requests.

    A request that is refused is halved until only the messages at fault are refused. One whose outcome is unknown
    leaves its messages unconfirmed. Any other error ends the submission: it is raised if nothing was sent before,
    else it becomes the reason why the rest is refused. Nothing is submitted twice after it may have left.
    """
    waiting = deque(requests)
    results: list[SubmitResult] = []
    any_sent = False
    submitted = 0
    while waiting:
        messages = waiting.popleft()
        submitted += 1
        try:
            new_results = await submit(messages)
        except RequestRefused as refusal:
            fault_is_unclear = len(messages) > 1 and refusal.outcome is not Outcome.UNKNOWN
            if fault_is_unclear and submitted < MOST_REQUESTS:
                middle = len(messages) // 2
                waiting.extendleft((messages[middle:], messages[:middle]))
                continue
            # Which of these messages is at fault stays unclear until they are sent again.
            outcome = Outcome.PROVIDER_FAULT if fault_is_unclear else refusal.outcome
            new_results = [SubmitResult(False, outcome=outcome, code=refusal.code)] * len(messages)
        except OutcomeUnknown as error:
            if not waiting and not results:
                raise
            new_results = [SubmitResult(False, code=error.code, unconfirmed=True)] * len(messages)
        except ChannelError as error:
            if not any_sent:
                raise
            unsent = len(messages) + sum(map(len, waiting))
            reason = SubmitResult(False, outcome=error.outcome or Outcome.OUR_FAULT, code=error.code)
            return results + [reason] * unsent
        any_sent = any_sent or any(result.accepted or result.unconfirmed for result in new_results)
        results += new_results
    return results
