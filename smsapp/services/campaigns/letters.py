"""The finished texts of a campaign before it is sent: one real person after the other, in the order of contact ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import billed_parts, sms_template
from smsapp.domain.phone import is_domestic
from smsapp.services.contacts.audience import filled_all
from smsapp.store.contacts import audience as people
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

SLICE = 50
"""Members read in one query when a preview looks for a reachable person."""
MOST_SLICES = 20
"""The preview gives up after this many slices without a reachable person."""


@dataclass(slots=True)
class RenderedMessage:
    """The finished text for one real person, or, with `contact_id` 0, the template with its variables unfilled.

    Not frozen: a form makes two hundred, and frozen ones take three times as long to make.
    """

    contact_id: int
    xwho: str
    phone: str = field(repr=False)
    text: str = field(repr=False)
    parts: int
    values: tuple[str, ...] = field(default=(), repr=False)
    """Of the template's variables, in order."""

    @property
    def characters(self) -> int:
        return billed_parts.characters(self.text)


@dataclass(frozen=True)
class Sample:
    """Letters of members from several places, in the order of contact ids."""

    letters: Sequence[RenderedMessage]
    first_until: int | None = None
    """The last member of the first place; up to here nobody reachable is missing. None: nowhere."""


@dataclass(frozen=True)
class Letters:
    """The texts of an audience's reachable people, in the order of contact ids."""

    template: SmsTemplate
    mapping: Mapping[str, Any]
    chosen: people.Audience

    def beyond(self, start: int, *, backwards: bool = False) -> Iterator[RenderedMessage]:
        """Yield letters of contacts beyond id `start`, a slice of members at a time."""
        for _ in range(MOST_SLICES):
            members = self._members(start, SLICE, backwards=backwards)
            if not members:
                return
            yield from self._letters(members, backwards=backwards)
            start = members[-1]

    def of(self, everybody: Sequence[people.Member]) -> Sample:
        """Return the letters of everybody of the audience."""
        reachable = [
            people.Recipient(member.contact_id, member.xwho, member.phone or "", member.params)
            for member in everybody
            if member.reason is None
        ]
        return Sample(self._written(reachable))

    def among(self, members: Sequence[int]) -> Sample:
        """Return the letters of the reachable ones of all members, as `sample` has them."""
        return Sample(self._letters(members))

    def sample(self, starts: Sequence[int], n: int) -> Sample:
        """Return the letters of the reachable ones of the next `n` members after each of these ids, read at once."""
        slices = [self._members(start, n) for start in starts]
        letters = self._letters(sorted({member for members in slices for member in members}))
        return Sample(letters, slices[0][-1] if slices[0] else None)

    def _members(self, start: int, n: int, *, backwards: bool = False) -> Sequence[int]:
        return people.member_ids(current_session(), self.chosen, start, n, backwards=backwards)

    def _letters(self, members: Sequence[int], *, backwards: bool = False) -> list[RenderedMessage]:
        """Return the letters of the reachable ones of `members`."""
        return self._written(people.reachable(current_session(), self.chosen, members, backwards=backwards))

    def _written(self, recipients: Sequence[people.Recipient]) -> list[RenderedMessage]:
        write = sms_template.compile_text(sms_template.full_text(self.template.signature, self.template.text))
        names = sms_template.variables(self.template.text)
        filled = filled_all(names, self.mapping, [recipient.params for recipient in recipients])
        texts = list(map(write, filled))
        billed = billed_parts.parts_of_all(texts, [is_domestic(recipient.phone) for recipient in recipients])
        return [
            RenderedMessage(recipient.contact_id, recipient.xwho, recipient.phone, text, parts, values)
            for recipient, text, parts, values in zip(recipients, texts, billed, filled, strict=True)
        ]


@dataclass(frozen=True)
class Measure:
    """How many billed parts the texts of a sample have."""

    spread: dict[int, int]
    """parts -> sampled people, fewest parts first"""

    @property
    def sampled(self) -> int:
        return sum(self.spread.values())

    @property
    def fewest(self) -> int:
        return min(self.spread, default=0)

    @property
    def over(self) -> int:
        """Sampled people whose values make the text longer by a part or more."""
        return self.sampled - self.spread.get(self.fewest, 0)

    def estimate(self, messages: int) -> int:
        """Return the parts of `messages` texts, if all are like the sample."""
        if not self.sampled:
            return 0
        return round(messages * sum(parts * n for parts, n in self.spread.items()) / self.sampled)


def unfilled(template: SmsTemplate) -> RenderedMessage:
    """Return the template's text with its variables unfilled."""
    text = sms_template.full_text(template.signature, template.text)
    return RenderedMessage(0, "", "", text, billed_parts.parts(text, domestic=True))
