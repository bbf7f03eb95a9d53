"""The errors an adapter raises; each says whether the messages of a failed call may have left."""

from __future__ import annotations

from typing import ClassVar

from smsapp.domain.outcome import CallResult, Outcome


class ChannelError(Exception):
    """The call failed as a whole; the subclass decides what becomes of its messages.

    The text never holds secrets or phone numbers: people are shown `outcome` and `code`. `retry_after` is in seconds
    from now.
    """

    result: ClassVar[CallResult]
    """Under which word a call that ended so is counted."""

    def __init__(self, code: str = "", *, outcome: Outcome | None = None, retry_after: float | None = None) -> None:
        self.code = code
        self.outcome = outcome
        self.retry_after = retry_after
        super().__init__(code)


class NotSent(ChannelError):
    """Surely nothing was sent (name not found, connection refused): the messages are queued again."""

    result = CallResult.NOT_SENT


class Throttled(ChannelError):
    """The provider asks to slow down and accepted nothing: messages are queued again, the attempt does not count."""

    result = CallResult.THROTTLED


class AccountError(ChannelError):
    """Key, balance, signature or template is wrong: the messages are queued again, the run is held for a person."""

    result = CallResult.ACCOUNT_ERROR


class OutcomeUnknown(ChannelError):
    """Cut or timed out after sending, 5xx, unreadable: the messages may have left and are not sent again."""

    result = CallResult.OUTCOME_UNKNOWN


class CallbackRefused(Exception):
    """The callback's signature is wrong; it is answered with 403 and not stored."""
