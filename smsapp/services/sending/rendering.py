"""Cuts a claimed batch into provider requests, and pairs their answers with its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.channels.contract import Channel
from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import OutboundMessage, SubmitResult
from smsapp.domain.billed_parts import parts_of_all
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.phone import is_domestic
from smsapp.domain.sms_template import TemplateSnapshot
from smsapp.domain.storable import storable_all
from smsapp.services.contacts.audience import filled_all
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.results import MessageResult

NO_ANSWER, PROVIDER_FAULT = "no_answer", "provider_fault"
"""Why messages are unconfirmed: the answer was lost, or the provider itself did not know."""


@dataclass
class Request:
    """The messages of one provider call, with their rows."""

    rows: list[tuple[int, int]]
    """(seq, parts)"""
    messages: list[OutboundMessage]

    def answered(self, answers: Sequence[SubmitResult]) -> Iterator[MessageResult]:
        """Pair answers with rows; a message the provider did not mention is unconfirmed."""
        codes = storable_all([answer.code for answer in answers])
        refs = storable_all([answer.provider_ref for answer in answers])
        for (seq, billed), answer, code, ref in zip(self.rows, answers, codes, refs, strict=False):
            if answer.accepted:
                yield MessageResult(seq, Status.ACCEPTED, billed, "", code, ref)
            elif answer.unconfirmed:
                yield MessageResult(seq, Status.UNCONFIRMED, billed, PROVIDER_FAULT if code else NO_ANSWER, code, ref)
            else:
                reason = str(answer.outcome or Outcome.UNKNOWN)
                yield MessageResult(seq, Status.REFUSED, billed, reason, code, ref)
        for seq, billed in self.rows[len(answers) :]:
            yield MessageResult(seq, Status.UNCONFIRMED, billed, NO_ANSWER)

    def unclear(self, error: OutcomeUnknown) -> Iterator[MessageResult]:
        """Yield unconfirmed results after an answer that says neither yes nor no."""
        provider_failed = error.outcome is Outcome.PROVIDER_FAULT
        return self.unconfirmed(error.code, PROVIDER_FAULT if provider_failed else NO_ANSWER)

    def unconfirmed(self, code: str, reason: str = NO_ANSWER) -> Iterator[MessageResult]:
        for seq, billed in self.rows:
            yield MessageResult(seq, Status.UNCONFIRMED, billed, reason, code)


@dataclass(frozen=True)
class WrittenTexts:
    """The finished texts of several people, with the values that fill them and the parts they take."""

    values: list[tuple[str, ...]] = field(repr=False)
    texts: list[str] = field(repr=False)
    parts: list[int]


def write(
    variables: Sequence[str],
    mapping: Mapping[str, Any],
    render: Callable[[Sequence[str]], str],
    phones: Sequence[str],
    params: Sequence[str | None],
) -> WrittenTexts:
    """Render the texts of these people: for a run that sends them, and for a rehearsal that only counts them."""
    values = filled_all(variables, mapping, params)
    texts = [render(each) for each in values]
    return WrittenTexts(values, texts, parts_of_all(texts, [is_domestic(phone) for phone in phones]))


def cut(
    batch: ClaimedBatch,
    adapter: Channel,
    template: TemplateSnapshot,
    mapping: Mapping[str, Any],
    render: Callable[[Sequence[str]], str],
    rate: int | None,
) -> list[Request]:
    """Render a batch's messages and cut them into requests of allowed size, none above the rate of one second."""
    most = adapter.max_messages_for(template)
    most = min(most, rate or most)
    phones = [phone for _seq, phone, _params in batch.rows]
    written = write(template.variables, mapping, render, phones, [params for _seq, _phone, params in batch.rows])
    all_values, texts, billed = written.values, written.texts, written.parts
    rows = [(row[0], n) for row, n in zip(batch.rows, billed, strict=True)]
    messages = [
        OutboundMessage(f"{batch.run_id}-{seq}", phone, text, values)
        for (seq, phone, _params), text, values in zip(batch.rows, texts, all_values, strict=True)
    ]
    if adapter.equal_texts_only:
        return _cut_by_text(rows, messages, most)
    return [Request(rows[at : at + most], messages[at : at + most]) for at in range(0, len(rows), most)]


def _cut_by_text(rows: Sequence[tuple[int, int]], messages: Sequence[OutboundMessage], most: int) -> list[Request]:
    groups: dict[str, Request] = {}
    full: list[Request] = []
    for row, message in zip(rows, messages, strict=True):
        request = groups.setdefault(message.text, Request([], []))
        request.rows.append(row)
        request.messages.append(message)
        if len(request.rows) >= most:
            full.append(groups.pop(message.text))
    return full + list(groups.values())
