"""What a provider's error code means for a request, and how a request is halved to find the message it is about."""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smsapp.channels.base import (
    Answer,
    ChannelError,
    Misconfigured,
    Outgoing,
    TemplateFacts,
    Throttled,
    Unclear,
)
from smsapp.channels.http import raise_for_status, retry_after
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer

CODE_LENGTH = 80
MOST_REQUESTS = 200
"""How many requests one submission may become while it is halved."""

Messages = Sequence[Outgoing]


class About(enum.Enum):
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
class Verdict:
    about: About
    outcome: Outcome


def number(outcome: Outcome) -> Verdict:
    return Verdict(About.NUMBER, outcome)


def words(outcome: Outcome) -> Verdict:
    return Verdict(About.WORDS, outcome)


def account(outcome: Outcome) -> Verdict:
    return Verdict(About.ACCOUNT, outcome)


SLOWER = Verdict(About.PACE, Outcome.THROTTLED)
CLOSED = Verdict(About.PACE, Outcome.OUTSIDE_HOURS)
IN_DOUBT = Verdict(About.DOUBT, Outcome.PROVIDER_FAULT)
UNKNOWN = Verdict(About.NUMBER, Outcome.UNKNOWN)


Families = Sequence[tuple[str, Verdict]]
"""What codes mean that begin alike; the first that fits counts."""


def meaning(code: str, verdicts: Mapping[str, Verdict], families: Families = ()) -> Verdict | None:
    """Return what a code means by a provider's tables; None if nobody described it."""
    return verdicts.get(code) or next((verdict for begin, verdict in families if code.startswith(begin)), None)


def judged(code: str, answer: HttpAnswer, verdicts: Mapping[str, Verdict], families: Families = ()) -> Verdict:
    """Return what a code other than success means; raises what the HTTP status says if the tables do not."""
    found = meaning(code, verdicts, families)
    if found is not None:
        return found
    raise_for_status(answer, code[:CODE_LENGTH])
    if not code:
        raise unreadable()
    return UNKNOWN


def judged_alone(code: str, answer: HttpAnswer, verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return what a code means where a request carries one message: a 400 nobody described is about that one."""
    if code and answer.status == 400 and code not in verdicts:
        return UNKNOWN
    return judged(code, answer, verdicts)


def unreadable() -> Unclear:
    """Return the error for an answer that does not say what this provider says."""
    return Unclear("unreadable", outcome=Outcome.PROVIDER_FAULT)


def wait(verdict: Verdict, answer: HttpAnswer, now: float) -> float | None:
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


def refusal(
    code: str, verdict: Verdict, template: TemplateFacts, messages: Messages, retry_after: float | None = None
) -> Refused | ChannelError:
    """Return what a request refused as a whole with this code means for its messages."""
    code = code[:CODE_LENGTH]
    about = verdict.about
    if about is About.WORDS:
        alike = all(message.values == messages[0].values for message in messages)
        own = bool(template.variables) and (len(messages) == 1 or not alike)
        about = About.NUMBER if own else About.ACCOUNT
    if about is About.NUMBER:
        return Refused(code, verdict.outcome)
    return trouble(code, Verdict(about, verdict.outcome), retry_after)


def trouble(code: str, verdict: Verdict, retry_after: float | None = None) -> ChannelError:
    """Return the error for a call that is about no message in particular."""
    code = code[:CODE_LENGTH]
    if verdict.about is About.PACE:
        return Throttled(code, outcome=verdict.outcome, retry_after=retry_after)
    if verdict.about is About.DOUBT:
        return Unclear(code, outcome=verdict.outcome)
    return Misconfigured(code, outcome=verdict.outcome)


async def hand_over(
    pieces: Sequence[Messages], request: Callable[[Messages], Awaitable[Sequence[Answer]]]
) -> list[Answer]:
    """Make one request per piece, in order, and return the answers of all messages in the order of the pieces.

    A piece that is `Refused` is halved and tried again, so that only the messages the refusal is about are refused. An
    error is raised only as long as it holds for every message; once something was accepted, messages that surely did
    not leave are refused with the error's reason, and those that may have left are in doubt.
    """
    waiting = deque(pieces)
    answers: list[Answer] = []
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
        except Unclear as doubt:
            if not waiting and not answers:
                raise
            found = [Answer(False, code=doubt.code, in_doubt=True)] * len(piece)
        except ChannelError as error:
            if not left:
                raise
            rest = len(piece) + sum(len(other) for other in waiting)
            return answers + [Answer(False, outcome=error.outcome or Outcome.OUR_FAULT, code=error.code)] * rest
        left = left or any(answer.accepted or answer.in_doubt for answer in found)
        answers += found
    return answers


def _refusals(piece: Messages, refused: Refused, made: int) -> list[Answer]:
    """Return the answers of a refused piece, or none if halving it can tell more."""
    if len(piece) == 1 or refused.outcome is Outcome.UNKNOWN:
        return [Answer(False, outcome=refused.outcome, code=refused.code)] * len(piece)
    if made < MOST_REQUESTS:
        return []
    # Which of these it was about is not known; whoever sends them again finds out.
    return [Answer(False, outcome=Outcome.PROVIDER_FAULT, code=refused.code)] * len(piece)
