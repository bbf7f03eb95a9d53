"""Sends one claimed batch: renders it, submits its requests in the channel's slots, and keeps what they came to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.http.too_late import not_after
from smsapp.channels.types import SubmitRequest
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.services.platform import shutdown
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import rendering
from smsapp.services.sending.brake import NoAnswers
from smsapp.services.sending.in_flight_batch import InFlightBatch
from smsapp.services.sending.rendering import Request
from smsapp.services.sending.run_registry import ActiveRun, Phase
from smsapp.store.runs.results import MessageResult

log = logging.getLogger(__name__)


class BatchExecutor:
    """Sends batches of one sender over `http`. `want_more` is called when the database should be asked for more."""

    def __init__(self, http: HttpClient, clock: Clock, want_more: Callable[[], None]) -> None:
        self.http, self.clock, self.want_more = http, clock, want_more

    def render(self, batch: InFlightBatch, run: ActiveRun) -> list[Request]:
        """Return the batch's requests; none, and the run stopped, if its texts cannot be made."""
        channel = run.channel
        try:
            requests = rendering.cut(batch.batch, channel.adapter, run.template, run.mapping, run.render, channel.rate)
        except Exception:
            log.exception("render.fault run=%s", run.run_id)
            batch.render_failed, requests = True, []
            run.enter(Phase.STOPPED)
        channel.waiting += len(requests)
        channel.per_batch = max(1, len(requests))
        return requests

    async def submit(self, requests: Sequence[Request], batch: InFlightBatch, run: ActiveRun) -> None:
        """Make the batch's calls, as many at a time as the channel has slots; return once none is in flight."""
        remaining = iter(requests)
        # A task per slot, not per request: it makes call after call, and none waits for a slot beside it.
        callers = (self._make_calls(remaining, batch, run) for _ in requests[: run.channel.adapter.max_concurrency])
        try:
            # All of them end before anything is stored: what is still in flight may not be taken for unsent.
            for error in await asyncio.gather(*callers, return_exceptions=True):
                if isinstance(error, BaseException):
                    log.error("call.cut run=%s error=%s", run.run_id, type(error).__name__)
        finally:
            run.channel.waiting -= len(list(remaining))

    async def _make_calls(self, requests: Iterator[Request], batch: InFlightBatch, run: ActiveRun) -> None:
        """Make one call after the other, each in a slot, as long as requests remain and the run may go on."""
        channel, slots = run.channel, run.channel.slots
        has_slot, size = False, 0

        def may_send() -> bool:
            return not shutdown.requested() and run.may_send(self.clock())

        try:
            for request in requests:
                if has_slot and slots.must_be_shared(run.run_id):
                    slots.release(run.run_id, size)
                    has_slot = False
                again, size = size > 0, len(request.rows)
                has_slot = has_slot or await slots.acquire(run.run_id, size, may_send, again=again)
                channel.waiting -= 1
                if channel.waiting + 1 == channel.reserve:
                    self.want_more()
                if not has_slot or not may_send():
                    break
                await channel.brake.admit(size, trying=run.after_failures)
                if not may_send():
                    channel.brake.failed(size)
                    break
                await self._call(request, batch, run)
        finally:
            if has_slot:
                slots.release(run.run_id, size)

    async def _call(self, request: Request, batch: InFlightBatch, run: ActiveRun) -> None:
        """Make one provider call and keep its results, or the error that keeps the run from going on."""
        channel, size = run.channel, len(request.rows)
        submission = SubmitRequest(run.template, request.messages, channel.callback_url, run.valid_until)
        if run.valid_until is not None:
            not_after(run.valid_until, self.clock)
        try:
            answers = await batch.calls.send(channel.adapter, submission, self.http)
            results = list(request.answered(answers))  # all of them or, if they make no sense, none
        except (NotSent, Throttled, AccountError) as error:
            channel.brake.failed(size)
            self._note_error(error, size, batch, run)
        except OutcomeUnknown as error:
            batch.results += request.unclear(error)
            self._note_lost_answer(NoAnswers(error.code, outcome=error.outcome), size, batch, run)
        except Exception:
            # A fault of ours in the adapter: the request may have left, so its messages are unconfirmed as well.
            log.exception("adapter.fault channel=%s", channel.channel_id)
            batch.results += request.unconfirmed("adapter_fault")
            channel.brake.failed(size)
        except BaseException:
            # The sender is being torn down while the call is in flight.
            batch.results += request.unconfirmed("cut")
            raise
        else:
            self._note_results(results, batch, run)
            if any(result.status is not Status.UNCONFIRMED for result in results):
                channel.brake.answered(size)
                run.after_failures = False
            else:  # it answered and knows nothing: as good as no answer
                self._note_lost_answer(NoAnswers(results[0].code), size, batch, run)

    def _note_results(self, results: Sequence[MessageResult], batch: InFlightBatch, run: ActiveRun) -> None:
        """Keep results; messages that the provider refused for the pace alone have not left and are sent later."""
        too_fast = [
            result for result in results if result.status is Status.REFUSED and result.reason == Outcome.THROTTLED
        ]
        batch.results += [result for result in results if result not in too_fast] if too_fast else results
        accepted = sum(result.status is Status.ACCEPTED for result in results)
        run.channel.accepted.append((asyncio.get_running_loop().time(), accepted))
        if too_fast:
            self._note_error(Throttled(too_fast[0].code, outcome=Outcome.THROTTLED), len(too_fast), batch, run)

    def _note_lost_answer(self, error: NoAnswers, size: int, batch: InFlightBatch, run: ActiveRun) -> None:
        """Count a request whose messages are all unconfirmed; after one too many the run is held."""
        run.channel.brake.lose(size)
        if run.channel.brake.is_on or run.after_failures:
            self._note_error(error, size, batch, run)

    def _note_error(self, error: ChannelError, size: int, batch: InFlightBatch, run: ActiveRun) -> None:
        """Have the run held for this error of a request of `size` messages; nothing more of it leaves."""
        if isinstance(error, Throttled):
            batch.note_throttling(run.channel.accepted_within(asyncio.get_running_loop().time()), size)
        batch.note_error(error)
        run.enter(Phase.FAILED)
