"""What a provider's error code means for a request, and how a request is halved to find the message it is about."""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smsapp.channels.base import (
    AccountError,
    ChannelError,
    OutboundMessage,
    OutcomeUnknown,
    SubmitResult,
    TemplateSnapshot,
    Throttled,
)
from smsapp.channels.http import raise_for_status, retry_after
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer

CODE_LENGTH = 80
MOST_REQUESTS = 200
"""How many requests one submission may become while it is halved."""

Messages = Sequence[OutboundMessage]


class Scope(enum.Enum):
    """What a refusal is about."""

    NUMBER = "number"
    """One of the numbers: the others are innocent."""
    WORDS = "words"
    """The text: one recipient's values, or the template if the texts are all the same."""
    PACE = "pace"
    """Speed or hours: nothing was taken, later it will be."""
    ACCOUNT = "account"
    """Key, balance, signature, template, our own fault: nothing was taken, a person is needed."""
    DOUBT = "doubt"
    """The provider does not know itself whether it took the messages."""


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
"""What codes mean that begin alike; the first that fits counts."""


def meaning(code: str, verdicts: Mapping[str, ErrorMeaning], families: Prefixes = ()) -> ErrorMeaning | None:
    """Return what a code means by a provider's tables; None if nobody described it."""
    return verdicts.get(code) or next((verdict for begin, verdict in families if code.startswith(begin)), None)


def classify(
    code: str, answer: HttpAnswer, verdicts: Mapping[str, ErrorMeaning], families: Prefixes = ()
) -> ErrorMeaning:
    """Return what a code other than success means; raises what the HTTP status says if the tables do not."""
    found = meaning(code, verdicts, families)
    if found is not None:
        return found
    raise_for_status(answer, code[:CODE_LENGTH])
    if not code:
        raise unreadable()
    return UNKNOWN


def classify_single(code: str, answer: HttpAnswer, verdicts: Mapping[str, ErrorMeaning]) -> ErrorMeaning:
    """Return what a code means where a request carries one message: a 400 nobody described is about that one."""
    if code and answer.status == 400 and code not in verdicts:
        return UNKNOWN
    return classify(code, answer, verdicts)


def unreadable() -> OutcomeUnknown:
    """Return the error for an answer that does not say what this provider says."""
    return OutcomeUnknown("unreadable", outcome=Outcome.PROVIDER_FAULT)


def seconds_to_wait(verdict: ErrorMeaning, answer: HttpAnswer, now: float) -> float | None:
    """Return the seconds to wait after this verdict: till the hours for marketing, or as the provider asks."""
    if verdict is CLOSED:
        return carrier.seconds_until_open(dt.datetime.fromtimestamp(now, dt.UTC))
    return retry_after(answer)


class Refused(Exception):
    """The provider took none of the request's messages, for a reason that may lie in some of them only."""

    def __init__(self, code: str, outcome: Outcome) -> None:
        self.code = code
        self.outcome = outcome
        super().__init__(code)


def as_error(
    code: str, verdict: ErrorMeaning, template: TemplateSnapshot, messages: Messages, retry_after: float | None = None
) -> Refused | ChannelError:
    """Return what a request refused as a whole with this code means for its messages."""
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
    """Return the error for a call that is about no message in particular."""
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

    A piece that is `Refused` is halved and tried again, so that only the messages the refusal is about are refused. An
    error is raised only as long as it holds for every message; once something was accepted, messages that surely did
    not leave are refused with the error's reason, and those that may have left are unconfirmed.
    """
    waiting = deque(pieces)
    answers: list[SubmitResult] = []
    left = False
    made = 0
    while waiting:
        piece = waiting.popleft()
        made += 1
        try:
            found = await request(piece)
        except Refused as refused:
            found = _refusals(piece, refused, made)
            if not found:
                middle = len(piece) // 2
                waiting.extendleft((piece[middle:], piece[:middle]))
                continue
        except OutcomeUnknown as error:
            if not waiting and not answers:
                raise
            found = [SubmitResult(False, code=error.code, unconfirmed=True)] * len(piece)
        except ChannelError as error:
            if not left:
                raise
            rest = len(piece) + sum(len(other) for other in waiting)
            return answers + [SubmitResult(False, outcome=error.outcome or Outcome.OUR_FAULT, code=error.code)] * rest
        left = left or any(answer.accepted or answer.unconfirmed for answer in found)
        answers += found
    return answers


def _refusals(piece: Messages, refused: Refused, made: int) -> list[SubmitResult]:
    """Return the answers of a refused piece, or none if halving it can tell more."""
    if len(piece) == 1 or refused.outcome is Outcome.UNKNOWN:
        return [SubmitResult(False, outcome=refused.outcome, code=refused.code)] * len(piece)
    if made < MOST_REQUESTS:
        return []
    # Which of these it was about is not known; whoever sends them again finds out.
    return [SubmitResult(False, outcome=Outcome.PROVIDER_FAULT, code=refused.code)] * len(piece)
