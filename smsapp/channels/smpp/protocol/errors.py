"""How a request over a session fails; the code says why."""

from __future__ import annotations


class SmppError(Exception):
    """A request got no answer."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class NotWritten(SmppError):
    """The request was not handed to the socket: it surely did not leave."""


class NoAnswer(SmppError):
    """The request was handed to the socket: it may have been executed."""
