"""The meaning of a provider's error codes for a request, and bisecting a request to find the message at fault."""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from smsapp.channels.errors import AccountError, ChannelError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpAnswer, raise_for_status, retry_after
from smsapp.channels.types import OutboundMessage, SubmitResult, TemplateSnapshot
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome

CODE_LENGTH = 80
MOST_REQUESTS = 200
"""Most requests one submission may become while it is bisected."""

Messages = Sequence[OutboundMessage]


class Scope(enum.Enum):
    """The scope of a refusal."""

    NUMBER = "number"
    """One of the numbers; the others can be sent."""
    WORDS = "words"
    """The text: one recipient's values, or the template if all texts are equal."""
    PACE = "pace"
    """Speed or hours: nothing was accepted, a later try will be."""
    ACCOUNT = "account"
    """Key, balance, signature, template, our own fault: nothing was accepted, a person has to act."""
    DOUBT = "doubt"
    """The provider itself does not know whether it accepted the messages."""


@dataclass(frozen=True)
class ErrorMeaning:
    about: Scope
    outcome: Outcome


def recipient_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.NUMBER, outcome)


def text_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.WORDS, outcome)


def account_error(outcome: Outcome) -> ErrorMeaning:
    return ErrorMeaning(Scope.ACCOUNT, outcome)


SLOWER = ErrorMeaning(Scope.PACE, Outcome.THROTTLED)
CLOSED = ErrorMeaning(Scope.PACE, Outcome.OUTSIDE_HOURS)
IN_DOUBT = ErrorMeaning(Scope.DOUBT, Outcome.PROVIDER_FAULT)
UNKNOWN = ErrorMeaning(Scope.NUMBER, Outcome.UNKNOWN)


Prefixes = Sequence[tuple[str, ErrorMeaning]]
"""(prefix, meaning) of codes; the first prefix that matches counts."""


def meaning(code: str, verdicts: Mapping[str, ErrorMeaning], families: Prefixes = ()) -> ErrorMeaning | None:
    """Return the meaning of a code in a provider's tables; None if they do not have it."""
    return verdicts.get(code) or next((verdict for begin, verdict in families if code.startswith(begin)), None)


def classify(
    code: str, answer: HttpAnswer, verdicts: Mapping[str, ErrorMeaning], families: Prefixes = ()
) -> ErrorMeaning:
    """Return the meaning of a code other than success; for an unknown code raises the error of the HTTP status."""
    verdict = meaning(code, verdicts, families)
    if verdict is not None:
        return verdict
    raise_for_status(answer, code[:CODE_LENGTH])
    if not code:
        raise unreadable()
    return UNKNOWN


def classify_single(code: str, answer: HttpAnswer, verdicts: Mapping[str, ErrorMeaning]) -> ErrorMeaning:
    """As `judged`, for requests with one message: an unknown code with HTTP status 400 is about that message."""
    if code and answer.status == 400 and code not in verdicts:
        return UNKNOWN
    return classify(code, answer, verdicts)


def unreadable() -> OutcomeUnknown:
    """Return the error for an answer that is not in this provider's format."""
    return OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)


def seconds_to_wait(verdict: ErrorMeaning, answer: HttpAnswer, now: float) -> float | None:
    """Return the seconds to wait after this verdict: until the hours for marketing, or as the provider asks."""
    if verdict is CLOSED:
        return carrier.seconds_until_open(dt.datetime.fromtimestamp(now, dt.UTC))
    return retry_after(answer)


class Refused(Exception):
    """The provider accepted none of the request's messages, for a reason that may lie in some of them only."""

    def __init__(self, code: str, outcome: Outcome) -> None:
        self.code = code
        self.outcome = outcome
        super().__init__(code)


def as_error(
    code: str, verdict: ErrorMeaning, template: TemplateSnapshot, messages: Messages, retry_after: float | None = None
) -> Refused | ChannelError:
    """Return the error for a request that was refused as a whole with this code: Refused if it can be bisected."""
    code = code[:CODE_LENGTH]
    about = verdict.about
    if about is Scope.WORDS:
        alike = all(message.values == messages[0].values for message in messages)
        own = bool(template.variables) and (len(messages) == 1 or not alike)
        about = Scope.NUMBER if own else Scope.ACCOUNT
    if about is Scope.NUMBER:
        return Refused(code, verdict.outcome)
    return call_error(code, ErrorMeaning(about, verdict.outcome), retry_after)


def call_error(code: str, verdict: ErrorMeaning, retry_after: float | None = None) -> ChannelError:
    """Return the error for a call as a whole."""
    code = code[:CODE_LENGTH]
    if verdict.about is Scope.PACE:
        return Throttled(code, outcome=verdict.outcome, retry_after=retry_after)
    if verdict.about is Scope.DOUBT:
        return OutcomeUnknown(code, outcome=verdict.outcome)
    return AccountError(code, outcome=verdict.outcome)


async def submit_bisecting(
    pieces: Sequence[Messages], request: Callable[[Messages], Awaitable[Sequence[SubmitResult]]]
) -> list[SubmitResult]:
    """Make one request per piece, in order, and return the answers of all messages in the order of the pieces.

    A piece that is `Refused` is halved and tried again, so that only the messages at fault are refused. An error is
    raised only while it holds for every message; once something was accepted, messages that surely did not leave are
    refused with the error's reason, and those that may have left are unconfirmed.
    """
    queue = deque(pieces)
    answers: list[SubmitResult] = []
    any_sent = False
    requests = 0
    while queue:
        piece = queue.popleft()
        requests += 1
        try:
            piece_answers = await request(piece)
        except Refused as refused:
            piece_answers = _refusals(piece, refused, requests)
            if not piece_answers:
                middle = len(piece) // 2
                queue.extendleft((piece[middle:], piece[:middle]))
                continue
        except OutcomeUnknown as error:
            if not queue and not answers:
                raise
            piece_answers = [SubmitResult(False, code=error.code, unconfirmed=True)] * len(piece)
        except ChannelError as error:
            if not any_sent:
                raise
            unsent = len(piece) + sum(len(other) for other in queue)
            return answers + [SubmitResult(False, outcome=error.outcome or Outcome.OUR_FAULT, code=error.code)] * unsent
        any_sent = any_sent or any(answer.accepted or answer.unconfirmed for answer in piece_answers)
        answers += piece_answers
    return answers


def _refusals(piece: Messages, refused: Refused, requests: int) -> list[SubmitResult]:
    """Return the answers of a refused piece, or [] if it is to be halved further."""
    if len(piece) == 1 or refused.outcome is Outcome.UNKNOWN:
        return [SubmitResult(False, outcome=refused.outcome, code=refused.code)] * len(piece)
    if requests < MOST_REQUESTS:
        return []
    # Which of these messages is at fault stays unknown until they are sent again.
    return [SubmitResult(False, outcome=Outcome.PROVIDER_FAULT, code=refused.code)] * len(piece)
