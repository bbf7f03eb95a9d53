"""A claimed batch on its way: the results and calls it has had so far, and the error that holds its run, if any."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError, NotSent, Throttled
from smsapp.services.channels.provider_calls import Calls
from smsapp.services.sending.brake import NoAnswers
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.results import MessageResult

SEVERITY_ORDER = (NotSent, Throttled, NoAnswers, AccountError)
"""Of several errors in one batch the last one in this order decides how its run is held."""


@dataclass(eq=False)
class InFlightBatch:
    """A batch that a sender has claimed, until its results are stored."""

    batch: ClaimedBatch
    channel_id: int
    adapter: Channel
    after_failures: bool
    """The run's calls before this batch reached nobody; a success ends that."""
    results: list[MessageResult] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    accepted_before_throttling: int = 0
    """Messages the provider accepted in the second before it asked to slow down."""
    throttled_size: int = 0
    """Messages of the largest request that it answered so."""
    error: ChannelError | None = None
    """The gravest error of its calls: the run is held for it."""
    render_failed: bool = False
    """Its texts could not be made: a mistake of ours, so a person has to look."""
    stored: int = 0
    """How many of the results are stored already."""
    stored_at: float = 0.0
    """Loop time of its start or of the latest store."""
    incomplete: bool = False
    """More results will come: only those that are here are stored."""

    @property
    def run_id(self) -> int:
        return self.batch.run_id

    @property
    def unstored(self) -> list[MessageResult]:
        return self.results[self.stored :]

    def snapshot(self) -> InFlightBatch:
        """Return a copy with what there is to store while requests are still out; its calls move to the copy."""
        calls = self.calls.take()
        return replace(self, results=self.results[:], calls=calls, error=None, render_failed=False, incomplete=True)

    def note_error(self, error: ChannelError) -> None:
        """Keep the error if it is graver than the one before."""
        if self.error is None or SEVERITY_ORDER.index(type(error)) > SEVERITY_ORDER.index(type(self.error)):
            self.error = error

    def note_throttling(self, accepted: int, size: int) -> None:
        """Keep how many messages were accepted in the second before, and how many were refused at once."""
        self.accepted_before_throttling = max(self.accepted_before_throttling, accepted)
        self.throttled_size = max(self.throttled_size, size)
