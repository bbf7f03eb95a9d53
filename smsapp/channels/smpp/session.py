"""One connection to an SMSC: a window of submits, answers in any order, deliveries stored before they are acknowledged.

When the connection ends, a request that was not written to the socket raises `NotSent`: it surely did not leave. A
request that was written and got no answer raises `OutcomeUnknown` and is not repeated.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from smsapp.channels.errors import AccountError, NotSent, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp.pdu import HEADER, RESPONSE, Command, Frames, Pdu, Status, frame
from smsapp.domain.outcome import Outcome

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
GOODBYE_SECONDS = 2.0
KEPT_AT_ONCE = 500
"""Most deliveries stored in one transaction."""
FULL = 2000
"""Reading pauses while more than so many deliveries wait to be stored."""

Keep = Callable[[Sequence[bytes]], Awaitable[None]]
"""Stores raw PDUs; once it returns they may be acknowledged."""


class _Waiting:
    """A request without an answer yet. `left`: it was handed to the socket; `asked`: loop time of the request."""

    __slots__ = ("answer", "asked", "left")

    def __init__(self, answer: asyncio.Future[Pdu], at: float) -> None:
        self.answer = answer
        self.asked = at
        self.left = False


class Session(asyncio.Protocol):
    """See the module. `window`: most submits without an answer; `patience`: seconds until an answer times out; `idle`:
    seconds of silence after which an enquire_link is sent."""

    def __init__(self, keep: Keep, *, window: int, patience: float, idle: float) -> None:
        self.room = asyncio.Semaphore(window)
        self.ended = asyncio.Event()
        self._keep = keep
        self._patience = patience
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._waiting: dict[int, _Waiting] = {}
        self._seq = 0
        self._out: list[bytes] = []
        self._leaving: list[_Waiting] = []
        self._flushing = self._choked = False
        self._arrived: list[Pdu] = []
        self._keeper: asyncio.Task[None] | None = None
        self._heard = self._loop.time()
        self._asked_alive = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    # -- asking ---------------------------------------------------------------------------------------------------

    async def submit(self, body: bytes) -> Pdu:
        """Send a submit_sm once the window has room; return its answer. Raises NotSent or OutcomeUnknown."""
        async with self.room:
            return await self.ask(Command.SUBMIT, body)

    async def ask(self, command: int, body: bytes = b"") -> Pdu:
        """Send a request; return its answer. Raises NotSent, or OutcomeUnknown if it may have left."""
        if self._transport is None or self.ended.is_set() or self._transport.is_closing():
            raise NotSent("closed", outcome=Outcome.NETWORK)
        self._seq = self._seq % 0x7FFFFFFF + 1
        seq = self._seq
        request = self._waiting[seq] = _Waiting(self._loop.create_future(), self._loop.time())
        self._leaving.append(request)
        self._write(frame(command, 0, seq, body))
        try:
            return await request.answer
        finally:
            self._waiting.pop(seq, None)

    async def unbind(self) -> None:
        """Unbind and close; requests without an answer raise `OutcomeUnknown`."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                if self._keeper is not None:
                    await asyncio.wait([self._keeper])
                await self.ask(Command.UNBIND)
        except (NotSent, OutcomeUnknown, TimeoutError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -- writing: everything of one loop iteration is written at once ---------------------------------------------

    def _write(self, raw: bytes) -> None:
        self._out.append(raw)
        if not self._flushing and not self._choked:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._choked or self._transport is None or self._transport.is_closing() or not self._out:
            return
        for request in self._leaving:
            request.left = True
        self._leaving.clear()
        raw = b"".join(self._out)
        self._out.clear()
        self._transport.write(raw)

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self._flush()

    # -- reading --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Otherwise Nagle's algorithm delays the second of two small writes by up to 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._look_at_the_clock()

    def data_received(self, received: bytes) -> None:
        self._heard = self._loop.time()
        self._asked_alive = False
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
        if self._arrived and self._keeper is None:
            self._keeper = self._loop.create_task(self._keep_arrived())
        if len(self._arrived) > FULL and self._transport is not None:
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

    async def _keep_arrived(self) -> None:
        """Store the deliveries, then acknowledge them; if storing fails, answer TEMPORARY so that they are repeated."""
        while self._arrived:
            pdus, self._arrived = self._arrived[:KEPT_AT_ONCE], self._arrived[KEPT_AT_ONCE:]
            status = Status.OK
            try:
                await self._keep([HEADER.pack(16 + len(pdu.body), *pdu[:3]) + pdu.body for pdu in pdus])
            except Exception:
                log.exception("smpp.not_kept deliveries=%s", len(pdus))
                status = Status.TEMPORARY
            for pdu in pdus:
                self._write(frame(pdu.command | RESPONSE, status, pdu.seq, b"\0"))
            if len(self._arrived) <= FULL and self._transport is not None and not self._transport.is_reading():
                self._transport.resume_reading()
        self._keeper = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for request in self._waiting.values():
            if request.answer.done():
                continue
            if request.left:
                request.answer.set_exception(OutcomeUnknown("cut", outcome=Outcome.NETWORK))
            else:
                request.answer.set_exception(NotSent("closed", outcome=Outcome.NETWORK))
        self.ended.set()

    # -- the clock ------------------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> None:
        """Time out late answers, send enquire_link on a silent connection, abort one that stays silent."""
        now = self._loop.time()
        for request in list(self._waiting.values()):
            if request.asked + self._patience > now:
                break
            if not request.answer.done():
                error = OutcomeUnknown if request.left else NotSent
                request.answer.set_exception(error("timeout", outcome=Outcome.NETWORK))
        seconds_silent = now - self._heard
        if self._asked_alive and seconds_silent > self._idle + self._patience:
            log.warning("smpp.dead seconds=%.0f", seconds_silent)
            self._abort()
            return
        if not self._asked_alive and seconds_silent > self._idle:
            self._asked_alive = True
            self._seq = self._seq % 0x7FFFFFFF + 1
            self._write(frame(Command.ENQUIRE, 0, self._seq))
        pause = min(1.0, self._patience / 4, self._idle / 4)
        self._timer = self._loop.call_later(pause, self._look_at_the_clock)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def connected(
    http: HttpClient, host: str, port: int, tls: bool, plain: bool, make: Callable[[], Session]
) -> Session:
    """Return a session with an open connection; the same addresses are allowed as for calls over HTTP.

    `plain` permits an unencrypted connection to a public host. Raises NotSent or AccountError.
    """
    if not tls and not plain and not http.guard.is_named(host):
        raise AccountError("plain_connection", outcome=Outcome.OUR_FAULT)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = [str(sockaddr[0]) for *_, sockaddr in infos]
            allowed = [
                address for address in addresses if http.guard.allows(host, ip_address(address.partition("%")[0]))
            ]
            if not allowed:
                raise AccountError("address_not_allowed", outcome=Outcome.OUR_FAULT)
            context = ssl.create_default_context() if tls else None
            name = host if tls else None
            for address in allowed[:-1]:
                try:
                    _, session = await loop.create_connection(make, address, port, ssl=context, server_hostname=name)
                except OSError:
                    continue
                return session
            _, session = await loop.create_connection(make, allowed[-1], port, ssl=context, server_hostname=name)
            return session
    except (OSError, TimeoutError) as error:
        raise NotSent(_code(error), outcome=Outcome.NETWORK) from None


def _code(error: BaseException) -> str:
    """Return the code of a failure to connect."""
    for kind, word in (
        (socket.gaierror, "name_not_found"),
        (ssl.SSLCertVerificationError, "tls_certificate"),
        (ssl.SSLError, "tls"),
        (TimeoutError, "connect_timeout"),
    ):
        if isinstance(error, kind):
            return word
    return "connect"
