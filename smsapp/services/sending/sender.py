"""A sender: a job that claims batch after batch of whatever run may be sent, for a minute, and rings its successor.

All runs take turns, so a small campaign does not wait behind a huge one. Provider calls of several batches are in
flight at the same time on one event loop; the database is asked from one thread beside it, and no transaction is open
while a call is waited for. What a call did is written once per batch:

    claim (committed) -> render -> wait for the turn -> call -> write back
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy.exc import DBAPIError, OperationalError

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import SubmitRequest, TemplateSnapshot
from smsapp.domain import quiet
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.pace import Pace, faster
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.sms_template import compile_text, full_text
from smsapp.services.channels import channels
from smsapp.services.platform import shutdown
from smsapp.services.sending import lifecycle, rendering
from smsapp.services.sending.brake import Brake, NoAnswers
from smsapp.services.sending.rendering import Request
from smsapp.services.sending.result_writer import AnswerWriter
from smsapp.services.sending.results import InFlightBatch
from smsapp.services.sending.run_registry import OPEN_BATCHES, ActiveChannel, ActiveRun
from smsapp.services.sending.slots import RateLimitedSlotQueue, SlotQueue
from smsapp.store import queue
from smsapp.store.channels import paces
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.rate_limit import RateLimiterDown, SharedRateLimiter, in_use
from smsapp.store.runs import ledger, runs
from smsapp.store.runs.ledger import ClaimedBatch, MessageResult
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)
T = TypeVar("T")
Clock = Callable[[], dt.datetime]

LOOK_AROUND = 0.5
"""Seconds between looks at what people and the clock want: pauses, new runs, held runs whose time has come."""
LISTEN = 0.1
"""Seconds between looks at whether a ring waits: every worker may be in a sender, and a new run need not wait for
one."""
WAITED_OUT = dt.timedelta(seconds=15)
"""How long a hold may be for a sender to wait until it is over; who waits longer leaves the worker to others."""
GRAVITY = (NotSent, Throttled, NoAnswers, AccountError)
"""Of several troubles in one batch the gravest counts."""


class Sender:
    """See the module. `work` returns when the time is over or nothing is left to do."""

    def __init__(self, app: Flask, clock: Clock, holds: Callable[[], Collection[int]] | None = None) -> None:
        """`holds`: the channels whose connections this process holds; without it all such channels are left alone."""
        self.app = app
        self.clock = clock
        self.holds = holds
        self.claim = secrets.token_hex(8)
        self.lines: dict[int, ActiveChannel] = {}
        self.works: dict[int, ActiveRun] = {}
        self.batches: set[asyncio.Task[None]] = set()
        self.last_run = 0
        self.stopping = False
        self.goes_on_soon = False
        """A run is held for a moment only."""
        self.stir = asyncio.Event()
        self.desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self.freezer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="freezer")
        self.freezing: asyncio.Future[bool] | None = None
        self.look_at = 0.0
        """Loop time of the next look around."""
        self.booth = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rate")
        self.clerks: set[asyncio.Task[None]] = set()
        self.answers = AnswerWriter(self.at_desk, clock)

    async def at_desk(self, step: Callable[..., T], *args: Any) -> T:
        """Run a database step on the sender's one database thread, in an application context of its own."""
        return await asyncio.get_running_loop().run_in_executor(self.desk, self._in_context, step, *args)

    def _in_context(self, step: Callable[..., T], *args: Any) -> T:
        with self.app.app_context():
            return step(*args)

    async def work(self, seconds: float) -> bool:
        """Send until `seconds` have passed or nothing is left; return whether something is left.

        What is in hand by then is finished, and for as long again runs that are new are sent meanwhile: the other
        senders may be finishing, too.
        """
        loop = asyncio.get_running_loop()
        finish_at, over = loop.time() + seconds, loop.time() + 2 * seconds
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            listening = asyncio.create_task(self._listen())
            try:
                while loop.time() < over and not self.stopping:
                    self.stir.clear()
                    if loop.time() >= finish_at:
                        finish_at = over
                        for work in self.works.values():
                            work.had_its_time = True
                    if loop.time() >= self.look_at:
                        self.look_at = loop.time() + LOOK_AROUND
                        await self._look()
                    if await self._take_batches(http):
                        continue
                    if not self.batches and self.freezing is None and not self.goes_on_soon:
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.stir.wait(), max(0.01, self.look_at - loop.time()))
            finally:
                listening.cancel()
                await self._finish()
        return await self.at_desk(self._is_something_left)

    async def _finish(self) -> None:
        """Wait for every call that has been made and write down what became of it, whatever went wrong around it."""
        while self.batches:
            await asyncio.wait(self.batches, timeout=LOOK_AROUND)
            try:
                await self._look(freeze=False)
            except Exception:
                log.exception("sender.look")
        if self.freezing is not None:
            await asyncio.wait([self.freezing])
        if self.clerks:  # what was answered last does not count for ever
            await asyncio.wait(self.clerks)

    async def _look(self, *, freeze: bool = True) -> None:
        """Look around; let audiences be frozen on a thread of its own, for that may take a while."""
        if self.freezing is not None and self.freezing.done():
            self.freezing = None
        await self.answers.write_early()
        opened = await self.at_desk(self._look_around)
        if freeze and opened and self.freezing is None and not self.stopping:
            step = partial(self._in_context, self._freeze, opened)
            self.freezing = asyncio.get_running_loop().run_in_executor(self.freezer, step)
            self.freezing.add_done_callback(self._frozen)

    def _frozen(self, freezing: asyncio.Future[bool]) -> None:
        if not freezing.cancelled() and freezing.exception() is None and freezing.result():
            self._look_soon()

    def _look_soon(self) -> None:
        self.look_at = 0.0
        self._stir()

    async def _listen(self) -> None:
        """Look around as soon as a ring comes that no worker takes: one sender does, unless it holds its own
        channels."""
        step = partial(self._in_context, queue.queue_grew, "senders" if self.holds is None else self.claim, queue.SEND)
        while True:
            await asyncio.sleep(LISTEN)
            # One that is freezing leaves what comes to the others.
            if self.freezing is None and await asyncio.get_running_loop().run_in_executor(self.booth, step):
                self._look_soon()

    def _freeze(self, run_ids: Sequence[int]) -> bool:
        """Freeze these runs as far as nobody else does; say whether there is something new to claim."""
        some = False
        for run_id in run_ids:
            try:
                some = lifecycle.open_run(run_id, self.clock()) or some
            except OperationalError as error:  # another sender was quicker, or the database is away: looked at again
                log.warning("freeze.again run=%s error=%s", run_id, type(error.orig).__name__)
            except Exception:
                log.exception("freeze.fault run=%s", run_id)
                _hold_for_fault(run_id, RunState.OPEN, self.clock())
        return some

    # -- at the desk: database steps ------------------------------------------------------------------------------

    def _look_around(self) -> list[int]:
        """Keep leases alive, wake held runs, see which runs must not go on; return those that are to be frozen."""
        now = self.clock()
        self.stopping = shutdown.requested()
        with writing() as session:
            ledger.extend_leases(session, self.claim, now + self._lease())
            runs.wake(session, now)
        going = {run.id: run for run in lifecycle.at_hand(self._held())}
        sending_now = {run_id for run_id, run in going.items() if run.state == RunState.SENDING}
        for run_id, work in list(self.works.items()):
            work.stopped, work.has_none = run_id not in sending_now, False
            if work.stopped:
                # Taken up anew when it goes on: a person may have changed the channel's key meanwhile.
                del self.works[run_id]
        soon = now + WAITED_OUT
        self.goes_on_soon = any(run.hold_until is not None and now < run.hold_until <= soon for run in going.values())
        busy = {work.line.channel_id for work in self.works.values()}
        self.lines = {key: line for key, line in self.lines.items() if key in busy or line.batches}
        self._keep_pace(now)
        for run_id in sending_now - self.works.keys():
            self._take_up(going[run_id], now)
        return [run.id for run in going.values() if run.state == RunState.OPEN]

    def _is_something_left(self) -> bool:
        return lifecycle.is_something_left(self._held(), self.clock())

    def _held(self) -> Collection[int] | None:
        return None if self.holds is None else self.holds()

    def _lease(self) -> dt.timedelta:
        return dt.timedelta(seconds=settings().LEASE_SECONDS)

    def _take_up(self, run: Run, now: dt.datetime) -> None:
        try:
            self.works[run.id] = work = self._work_of(run)
        except OperationalError:
            raise
        except Exception:
            log.exception("run.fault run=%s", run.id)
            _hold_for_fault(run.id, RunState.SENDING, now)
            return
        if self.holds is None and not work.line.rate and ledger.is_much_left(current_session(), run.id, OPEN_BATCHES):
            # Another worker that is free begins a sender as well, and rings in its turn: each has a processor to give.
            queue.enqueue_unless_waiting(queue.SEND, "send", run.id)

    def _work_of(self, run: Run) -> ActiveRun:
        facts = run.template
        line = self.lines.get(run.channel_id)
        if line is None:
            row = channels.row(run.channel_id)
            adapter = channels.adapter(run.channel_id)
            turns, brake = self._turns(row, adapter), Brake(settings().BRAKE_AFTER)
            line = ActiveChannel(run.channel_id, adapter, row.rate, channels.callback_url(row), turns, brake, row.rate)
            self.lines[run.channel_id] = line
            self._keep_pace(self.clock())
        template = TemplateSnapshot(
            facts["code"], facts["text"], facts["signature"], tuple(facts["variables"]), facts["marketing"]
        )
        begin, end = facts["quiet"] or ("", "")
        hours = quiet.read(begin, end, facts["zone"]) if begin else None
        render = compile_text(full_text(template.signature, template.text))
        return ActiveRun(run.id, line, template, facts["mapping"], render, hours, run.troubled_at is not None)

    def _turns(self, row: ChannelRow, adapter: Channel) -> SlotQueue:
        if not row.rate:
            return SlotQueue(adapter.max_concurrency)
        shared, share = SharedRateLimiter(row.id, row.rate, self.claim), row.rate / settings().SEND_WORKERS
        return RateLimitedSlotQueue(adapter.max_concurrency, shared, share, self.booth, self.clerks)

    def _keep_pace(self, now: dt.datetime) -> None:
        """Let the channels in hand keep to the pace that was learned of them, by whatever sender."""
        for channel_id, pace in paces.of(current_session(), self.lines).items():
            line = self.lines[channel_id]
            learned = pace.rate(now)
            rate = min(learned, line.most or learned)
            line.rate = max(1, int(rate))
            share = rate / settings().SEND_WORKERS
            if isinstance(line.turns, RateLimitedSlotQueue):
                line.turns.set_rate(rate, share)
            else:
                shared = SharedRateLimiter(channel_id, rate, self.claim)
                line.turns = RateLimitedSlotQueue(line.adapter.max_concurrency, shared, share, self.booth, self.clerks)
            self._speed_up(channel_id, pace, now)

    def _speed_up(self, channel_id: int, pace: Pace, now: dt.datetime) -> None:
        """Look for a higher pace once the provider has taken all at the highest that is known."""
        if faster(pace, pace.rate(now), now) == pace:
            return
        with suppress(RateLimiterDown), writing() as session:
            paces.speed_up(session, channel_id, pace, in_use(channel_id), now)

    def _claim(self, most: int, sizes: Mapping[int, int] | None = None) -> list[ClaimedBatch]:
        """Claim the next batches of a run that may; those that have come into their quiet hours are held first."""
        now = self.clock()
        with writing() as session:
            for run_id, work in sorted(self.works.items()):
                until = work.quiet.over_at(now) if work.quiet and work.may_claim else None
                if until is not None and ledger.is_ready(session, [run_id]):
                    runs.hold(session, run_id, HoldReason.QUIET_HOURS, until, now, Run.state == RunState.SENDING)
                    work.stopped = True
            able = [run_id for run_id, work in self.works.items() if work.may_claim]
            return ledger.claim_batches(session, able, self.last_run, self.claim, now + self._lease(), most, sizes)

    # -- on the loop: provider calls ------------------------------------------------------------------------------

    async def _take_batches(self, http: HttpClient) -> bool:
        """Claim batches for a run that may and set them going; False if there are none."""
        free = [work.line.wanted for work in self.works.values() if work.may_claim]
        if not free:
            return False
        try:
            sizes = self._claim_sizes()
            found = await self.at_desk(self._claim, 1 if sizes else max(1, min(free)), sizes)
        except DBAPIError:
            log.exception("claim.failed")
            found = []
        if not found:
            for one in self.works.values():
                one.has_none = not one.batches
            return False
        self.last_run = found[0].run_id
        work = self.works[self.last_run]
        for batch in found:
            work.batches += 1
            work.line.batches += 1
            task = asyncio.create_task(self._carry(batch, work, http))
            self.batches.add(task)
            task.add_done_callback(self.batches.discard)
            task.add_done_callback(self._stir)
        await asyncio.sleep(0)  # they are cut: how many requests wait decides whether more is wanted
        return True

    def _claim_sizes(self) -> dict[int, int]:
        """Return how many messages a claim takes at most of each run that is sent over a held connection."""
        if self.holds is None:
            return {}
        now = asyncio.get_running_loop().time()
        for line in self.lines.values():
            line.keep_claims_small(now)
        return {run_id: work.line.claim_size for run_id, work in self.works.items() if work.line.claim_size}

    def _stir(self, _ended: object = None) -> None:
        """Have the sender see at once whether there is something to claim."""
        self.stir.set()

    async def _carry(self, batch: ClaimedBatch, work: ActiveRun, http: HttpClient) -> None:
        """Hand over one batch, request by request, and write down what became of it."""
        line = work.line
        carried = InFlightBatch(batch, line.channel_id, line.adapter, work.troubled)
        self.answers.follow(carried)
        try:
            requests = rendering.cut(batch, line.adapter, work.template, work.mapping, work.render, line.rate)
        except Exception:
            log.exception("render.fault run=%s", batch.run_id)
            carried.fault, requests = True, []
            work.stopped = True
        line.waiting += len(requests)
        line.per_batch = max(1, len(requests))
        left = iter(requests)
        try:
            # A task per slot, not per request: it makes call after call, and none waits for a slot beside it.
            hands = (self._hand_over(left, carried, work, http) for _ in requests[: line.adapter.max_concurrency])
            # All of them end before anything is written: what is still out must not be taken for unsent.
            ended = await asyncio.gather(*hands, return_exceptions=True)
            for fault in ended:
                if isinstance(fault, BaseException):
                    log.error("call.cut run=%s error=%s", batch.run_id, type(fault).__name__)
        finally:
            work.batches -= 1
            line.batches -= 1
            line.waiting -= len(list(left))
            await self.answers.write(carried)
            if carried.trouble is not None:
                work.stopped, work.trouble = True, None
                self.goes_on_soon = True  # as far as is known until the next look
                self._look_soon()

    async def _hand_over(
        self, left: Iterator[Request], carried: InFlightBatch, work: ActiveRun, http: HttpClient
    ) -> None:
        """Make the batch's calls, one after the other, each when its turn has come, as long as any are left."""
        line, turns, run_id = work.line, work.line.turns, work.run_id
        goes = partial(self._may_go, work)
        has_turn, size = False, 0
        try:
            for request in left:
                if has_turn and turns.is_wanted(run_id):
                    turns.give_back(run_id, size)
                    has_turn = False
                again, size = size > 0, len(request.rows)
                has_turn = has_turn or await turns.take(run_id, size, goes, again=again)
                line.waiting -= 1
                if line.waiting + 1 == line.ahead:
                    self._stir()
                if not has_turn or not goes():
                    break
                await line.brake.admit(size, trying=work.troubled)
                if not goes():
                    line.brake.failed(size)
                    break
                await self._call(request, carried, work, http)
        finally:
            if has_turn:
                turns.give_back(run_id, size)

    async def _call(self, request: Request, carried: InFlightBatch, work: ActiveRun, http: HttpClient) -> None:
        """Make one provider call and note what became of it."""
        line, size = work.line, len(request.rows)
        submission = SubmitRequest(work.template, request.messages, line.callback_url)
        try:
            answers = await carried.calls.send(line.adapter, submission, http)
            answered = list(request.answered(answers))  # all of them or, if they make no sense, none
        except (NotSent, Throttled, AccountError) as trouble:
            line.brake.failed(size)
            self._note_trouble(trouble, size, carried, work)
        except OutcomeUnknown as error:
            carried.answers += request.unclear(error)
            self._brake_on_lost_answer(NoAnswers(error.code, outcome=error.outcome), size, carried, work)
        except Exception:
            # A fault of ours in the adapter: the request may have left, so its messages are unconfirmed as well.
            log.exception("adapter.fault channel=%s", line.channel_id)
            carried.answers += request.unconfirmed("adapter_fault")
            line.brake.failed(size)
        except BaseException:
            # The sender is being torn down while the call is out.
            carried.answers += request.unconfirmed("cut")
            raise
        else:
            self._take_answers(answered, carried, work)
            if any(one.status is not Status.UNCONFIRMED for one in answered):
                line.brake.answered(size)
                work.troubled = False
            else:  # it answered and knows nothing: as good as no answer
                self._brake_on_lost_answer(NoAnswers(answered[0].code), size, carried, work)

    def _brake_on_lost_answer(self, trouble: NoAnswers, size: int, carried: InFlightBatch, work: ActiveRun) -> None:
        """Count a request whose messages are all unconfirmed, and have the run held after one too many."""
        work.line.brake.lose(size)
        if work.line.brake.is_on or work.troubled:
            self._note_trouble(trouble, size, carried, work)

    def _take_answers(self, answered: Sequence[MessageResult], carried: InFlightBatch, work: ActiveRun) -> None:
        """Note what was answered; messages the provider refused for the pace alone have not left and go later."""
        too_fast = [one for one in answered if one.status is Status.REFUSED and one.reason == Outcome.THROTTLED]
        carried.answers += [one for one in answered if one not in too_fast] if too_fast else answered
        now = asyncio.get_running_loop().time()
        work.line.taken.append((now, sum(one.status is Status.ACCEPTED for one in answered)))
        if too_fast:
            self._note_trouble(Throttled(too_fast[0].code, outcome=Outcome.THROTTLED), len(too_fast), carried, work)

    def _note_trouble(self, trouble: ChannelError, size: int, carried: InFlightBatch, work: ActiveRun) -> None:
        """Have the run held for this trouble of a request of this size, unless a graver one is known."""
        if isinstance(trouble, Throttled):
            carried.taken = max(carried.taken, work.line.taken_lately(asyncio.get_running_loop().time()))
            carried.refused = max(carried.refused, size)
        known = carried.trouble
        if known is None or GRAVITY.index(type(trouble)) > GRAVITY.index(type(known)):
            carried.trouble = work.trouble = trouble

    def _may_go(self, work: ActiveRun) -> bool:
        if work.stopped or work.trouble is not None or self.stopping:
            return False
        return work.quiet is None or work.quiet.over_at(self.clock()) is None


def _hold_for_fault(run_id: int, begins: RunState, now: dt.datetime) -> None:
    """Hold a run that a mistake of ours keeps from going on from this state, so that the others do."""
    with writing() as session:
        runs.hold(session, run_id, HoldReason.FAULT, None, now, Run.state == begins)


def send(app: Flask, clock: Clock) -> None:
    """Work one sender; ring the next one if something is left."""
    if asyncio.run(_sender(app, clock)):
        queue.enqueue(queue.SEND, "send", 0)


async def _sender(app: Flask, clock: Clock) -> bool:
    return await Sender(app, clock).work(settings().SENDER_SECONDS)
