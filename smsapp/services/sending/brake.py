"""The brake of a channel: it limits and then stops messages while one answer after the other is lost.

A provider that accepts requests and never answers leaves each message unconfirmed. Until a request is answered, no more
than BRAKE_AFTER messages are in flight; after so many lost answers in a row the run is held. When it goes on, one
request at a time tests whether there are answers again.
"""

from __future__ import annotations

import asyncio

from smsapp.channels.errors import ChannelError

FEWEST_REQUESTS = 2
"""One cut connection proves nothing, however many messages it carried."""


class NoAnswers(ChannelError):
    """Too many answers in a row were lost: no further message leaves, unsent ones are queued again."""


class Brake:
    """The brake of one channel in one sender."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """So many messages without an answer stop the channel."""
        self.lost = 0
        """Messages whose answers were lost, in a row."""
        self.lost_requests = 0
        self.out = 0
        self.has_answers = False
        """The provider has answered, and the brake has not been on since."""
        self.changed = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Return whether no further message may leave."""
        return self.lost >= self.limit and self.lost_requests >= FEWEST_REQUESTS

    async def admit(self, messages: int, *, trying: bool) -> None:
        """Wait until so many messages may leave; `trying`: the run was held because nobody answered."""
        trying = trying or self.is_on
        while not self.has_answers and self.out and (trying or self.out + messages > self.limit):
            self.changed.clear()
            await self.changed.wait()
        self.out += messages

    def answered(self, messages: int) -> None:
        """Note an answer, whatever it says."""
        self.out -= messages
        self.lost = self.lost_requests = 0
        self.has_answers = True
        self.changed.set()

    def failed(self, messages: int) -> None:
        """Note that so many messages surely did not leave, which proves nothing about answers."""
        self.out -= messages
        self.changed.set()

    def lose(self, messages: int) -> None:
        """Note that the answer about so many messages was lost."""
        self.out -= messages
        self.lost += messages
        self.lost_requests += 1
        self.has_answers = self.has_answers and not self.is_on
        self.changed.set()
