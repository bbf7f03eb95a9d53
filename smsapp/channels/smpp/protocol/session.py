"""One connection to an SMSC: a window of submits, answers in any order, deliveries stored before they are acknowledged.

When the connection ends, a request that was not written to the socket raises `NotWritten`: it surely did not leave. A
request that was written and got no answer raises `NoAnswer` and is not repeated.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from smsapp.channels.smpp.protocol.errors import NoAnswer, NotWritten
from smsapp.channels.smpp.protocol.pdu import HEADER, RESPONSE, Command, FrameSplitter, Pdu, Status, frame

log = logging.getLogger(__name__)

UNBIND_SECONDS = 2.0
MOST_STORED_AT_ONCE = 500
"""Most deliveries stored in one transaction."""
MOST_UNSTORED = 2000
"""Reading pauses while more than so many deliveries wait to be stored."""

StoreDeliveries = Callable[[Sequence[bytes]], Awaitable[None]]
"""Stores raw PDUs; once it returns they may be acknowledged."""


class _Request:
    """A request without an answer yet. `written`: it was handed to the socket; `asked_at`: loop time of the request."""

    __slots__ = ("answer", "asked_at", "written")

    def __init__(self, answer: asyncio.Future[Pdu], at: float) -> None:
        self.answer = answer
        self.asked_at = at
        self.written = False


class Session(asyncio.Protocol):
    """See the module. `window`: most submits without an answer; `answer_timeout`: seconds until an answer is late.

    `idle`: seconds of silence after which an enquire_link is sent.
    """

    def __init__(self, store: StoreDeliveries, *, window: int, answer_timeout: float, idle: float) -> None:
        self.room = asyncio.Semaphore(window)
        self.ended = asyncio.Event()
        self._store = store
        self._answer_timeout = answer_timeout
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._frames = FrameSplitter()
        self._waiting: dict[int, _Request] = {}
        self._seq = 0
        self._out: list[bytes] = []
        self._unwritten: list[_Request] = []
        self._flushing = self._writing_paused = False
        self._arrived: list[Pdu] = []
        self._storer: asyncio.Task[None] | None = None
        self._last_received = self._loop.time()
        self._probing = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    # -- requests -----------------------------------------------------------------------------------------------------

    async def submit(self, body: bytes, check: Callable[[], None] | None = None) -> Pdu:
        """Send a submit_sm once the window has room; return its answer. Raises NotWritten, NoAnswer, or what `check`
        raises just before it is written."""
        async with self.room:
            if check is not None:
                check()
            return await self.request(Command.SUBMIT, body)

    async def request(self, command: int, body: bytes = b"") -> Pdu:
        """Send a request; return its answer. Raises NotWritten, or NoAnswer if it may have left."""
        if self._transport is None or self.ended.is_set() or self._transport.is_closing():
            raise NotWritten("closed")
        self._seq = self._seq % 0x7FFFFFFF + 1
        seq = self._seq
        request = self._waiting[seq] = _Request(self._loop.create_future(), self._loop.time())
        self._unwritten.append(request)
        self._write(frame(command, 0, seq, body))
        try:
            return await request.answer
        finally:
            self._waiting.pop(seq, None)

    async def unbind(self) -> None:
        """Unbind and close; requests without an answer raise `NoAnswer`."""
        try:
            async with asyncio.timeout(UNBIND_SECONDS):
                if self._storer is not None:
                    await asyncio.wait([self._storer])
                await self.request(Command.UNBIND)
        except (NotWritten, NoAnswer, TimeoutError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -- writing: everything of one loop iteration is written at once -------------------------------------------------

    def _write(self, raw: bytes) -> None:
        self._out.append(raw)
        if not self._flushing and not self._writing_paused:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._writing_paused or self._transport is None or self._transport.is_closing() or not self._out:
            return
        for request in self._unwritten:
            request.written = True
        self._unwritten.clear()
        raw = b"".join(self._out)
        self._out.clear()
        self._transport.write(raw)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._flush()

    # -- reading ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Otherwise Nagle's algorithm delays the second of two small writes by up to 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._check_deadlines()

    def data_received(self, received: bytes) -> None:
        self._last_received = self._loop.time()
        self._probing = False
        try:
            pdus = self._frames.feed(received)
        except ValueError:
            log.warning("smpp.frame")
            self._abort()
            return
        for pdu in pdus:
            if pdu.command & RESPONSE:
                request = self._waiting.pop(pdu.seq, None)
                if request is not None and not request.answer.done():
                    request.answer.set_result(pdu)
            elif pdu.command == Command.DELIVER:
                self._arrived.append(pdu)
            else:
                self._answer(pdu)
        if self._arrived and self._storer is None:
            self._storer = self._loop.create_task(self._store_arrived())
        if len(self._arrived) > MOST_UNSTORED and self._transport is not None:
            self._transport.pause_reading()

    def _answer(self, pdu: Pdu) -> None:
        if pdu.command == Command.ENQUIRE:
            self._write(frame(pdu.command | RESPONSE, Status.OK, pdu.seq))
        elif pdu.command == Command.UNBIND:
            self._write(frame(pdu.command | RESPONSE, Status.OK, pdu.seq))
            self._flush()
            self.close()
        else:
            self._write(frame(Command.NACK, Status.UNKNOWN_COMMAND, pdu.seq))

    async def _store_arrived(self) -> None:
        """Store the deliveries, then acknowledge them; if storing fails, answer TEMPORARY so that they are repeated."""
        while self._arrived:
            pdus, self._arrived = self._arrived[:MOST_STORED_AT_ONCE], self._arrived[MOST_STORED_AT_ONCE:]
            status = Status.OK
            try:
                await self._store([HEADER.pack(16 + len(pdu.body), *pdu[:3]) + pdu.body for pdu in pdus])
            except Exception:
                log.exception("smpp.not_stored deliveries=%s", len(pdus))
                status = Status.TEMPORARY
            for pdu in pdus:
                self._write(frame(pdu.command | RESPONSE, status, pdu.seq, b"\0"))
            if len(self._arrived) <= MOST_UNSTORED and self._transport is not None and not self._transport.is_reading():
                self._transport.resume_reading()
        self._storer = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for request in self._waiting.values():
            if request.answer.done():
                continue
            if request.written:
                request.answer.set_exception(NoAnswer("cut"))
            else:
                request.answer.set_exception(NotWritten("closed"))
        self.ended.set()

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def _check_deadlines(self) -> None:
        """Time out late answers, send enquire_link on a silent connection, abort one that stays silent."""
        now = self._loop.time()
        for request in list(self._waiting.values()):
            if request.asked_at + self._answer_timeout > now:
                break
            if not request.answer.done():
                error = NoAnswer if request.written else NotWritten
                request.answer.set_exception(error("timeout"))
        seconds_silent = now - self._last_received
        if self._probing and seconds_silent > self._idle + self._answer_timeout:
            log.warning("smpp.dead seconds=%.0f", seconds_silent)
            self._abort()
            return
        if not self._probing and seconds_silent > self._idle:
            self._probing = True
            self._seq = self._seq % 0x7FFFFFFF + 1
            self._write(frame(Command.ENQUIRE, 0, self._seq))
        pause = min(1.0, self._answer_timeout / 4, self._idle / 4)
        self._timer = self._loop.call_later(pause, self._check_deadlines)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
