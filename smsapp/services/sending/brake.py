"""The brake of a channel: when one answer after the other is lost, few messages are out and then none.

A provider that takes requests and never answers leaves each unconfirmed message. Until one is answered, no more than
BRAKE_AFTER messages are out together; after so many lost answers in a row the run is held, and when it goes on, one
request at a time tries whether there are answers again.
"""

from __future__ import annotations

import asyncio

from smsapp.channels.errors import ChannelError

FEWEST_REQUESTS = 2
"""One cut connection proves nothing, however many messages it carried."""


class NoAnswers(ChannelError):
    """So many answers in a row were lost that nothing more leaves: what has not left is queued again."""


class Brake:
    """The brake of one channel in one sender."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Messages without an answer that are one too many."""
        self.lost = 0
        """Messages whose answers were lost, one after the other."""
        self.lost_requests = 0
        self.out = 0
        self.has_answers = False
        """The provider has answered lately."""
        self.changed = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Say whether nothing more may leave in this turn."""
        return self.lost >= self.limit and self.lost_requests >= FEWEST_REQUESTS

    async def admit(self, messages: int, *, trying: bool) -> None:
        """Wait until so many messages may leave; `trying`: the run was held because nobody answered."""
        trying = trying or self.is_on
        while not self.has_answers and self.out and (trying or self.out + messages > self.limit):
            self.changed.clear()
            await self.changed.wait()
        self.out += messages

    def answered(self, messages: int) -> None:
        """Note an answer: there are some, whatever they say."""
        self.out -= messages
        self.lost = self.lost_requests = 0
        self.has_answers = True
        self.changed.set()

    def failed(self, messages: int) -> None:
        """Note that so many messages surely did not leave, which says nothing of answers."""
        self.out -= messages
        self.changed.set()

    def lose(self, messages: int) -> None:
        """Note that the answer about so many messages was lost."""
        self.out -= messages
        self.lost += messages
        self.lost_requests += 1
        self.has_answers = self.has_answers and not self.is_on
        self.changed.set()
