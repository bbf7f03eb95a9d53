"""The one HTTP client all adapters share. It separates *surely not sent* from *possibly sent*.

`NotSent` is raised only while no byte of the request can have left: the address was not found or not allowed, the
connection was refused or timed out, TLS failed, no connection became free, or the kept-alive connection was closed
before we wrote. Once bytes are handed to the socket every failure is `OutcomeUnknown`. No request is ever repeated
after that moment, whatever its method, because on some gateways a GET sends an SMS.

Addresses, headers and bodies hold passwords and numbers, so errors, reprs and log lines contain nothing of them.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, NoReturn, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown
from smsapp.channels.http import too_late
from smsapp.channels.http.answers import HttpAnswer
from smsapp.channels.http.guard import Guard, GuardedResolver, literal
from smsapp.domain.outcome import Outcome

MIB = 1024 * 1024
MOST_HUNG_UP = 3
"""Connections that the other side has just closed are skipped so many times before the call fails."""
DEADLINE_CHECK_SECONDS = 0.05
"""Seconds between checks for calls that take too long."""
POLLRDHUP = getattr(select, "POLLRDHUP", 0)
"""Poll flag for the other side's FIN, on Linux only; a broken connection is reported everywhere without it."""


class _HungUp(Exception):
    """The other side closed the pooled connection before we wrote."""


class _Attempt:
    """One call: whether bytes of its request may have left, and its deadline in loop time."""

    __slots__ = ("cancelling", "deadline", "may_have_left", "overdue", "task")

    def __init__(self, task: asyncio.Task[Any], deadline: float) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.deadline = deadline
        self.may_have_left = self.overdue = False

    def fail(self, error: BaseException) -> NoReturn:
        """Raise the ChannelError for this failure: OutcomeUnknown if bytes may have left, else NotSent."""
        code = _code(error)
        if self.may_have_left:
            raise OutcomeUnknown(code, outcome=Outcome.NETWORK) from None
        raise NotSent(code, outcome=Outcome.NETWORK) from None

    def cancel(self) -> None:
        """Cancel the call after its deadline, as asyncio.timeout does."""
        self.overdue = True
        self.task.cancel()

    @property
    def was_cancelled_by_deadline(self) -> bool:
        """Whether the deadline cancelled the call and nothing else has cancelled its task."""
        return self.overdue and self.task.cancelling() - 1 <= self.cancelling


_attempt: ContextVar[_Attempt] = ContextVar("attempt")
"""The call of the current task. An aiohttp middleware would cost two more coroutines per call."""


class _Request(aiohttp.ClientRequest):
    """Sets `may_have_left` just before the first byte is written; never writes into a closed connection."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        transport = conn.transport
        if transport is None or transport.is_closing() or _has_hung_up(transport):
            raise _HungUp
        too_late.check()
        _attempt.get().may_have_left = True
        return await super().send(conn)


class _Response(aiohttp.ClientResponse):
    """Raises our own errors inside aiohttp's loop, because that loop retries after aiohttp's errors."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except (aiohttp.ClientError, OSError) as error:
            _attempt.get().fail(error)


def _has_hung_up(transport: asyncio.Transport) -> bool:
    """Return whether the other side has closed the connection and the event loop has not noticed it yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), POLLRDHUP)
    return bool(poll.poll(0))


class _Deadlines:
    """Cancels calls after their deadline: one timer for all calls of a loop, because a timer for each costs a tenth of
    the rate where a request carries one message (bench/campaign.py --variants)."""

    def __init__(self) -> None:
        self.calls: set[_Attempt] = set()
        self.timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> _Attempt:
        """Register and return a call of the current task with this time limit."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made by a task")
        loop = task.get_loop()
        attempt = _Attempt(task, loop.time() + seconds)
        self.calls.add(attempt)
        if self.timer is None:
            self.timer = loop.call_later(DEADLINE_CHECK_SECONDS, self._check, loop)
        return attempt

    def end(self, attempt: _Attempt) -> None:
        """Unregister a call that is over."""
        self.calls.discard(attempt)
        if attempt.overdue:
            attempt.task.uncancel()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for attempt in self.calls:
            if attempt.deadline <= now and not attempt.overdue:
                attempt.cancel()
        self.timer = loop.call_later(DEADLINE_CHECK_SECONDS, self._check, loop) if self.calls else None


def _code(error: BaseException) -> str:
    """Return the code of a failure; never its text, which holds addresses."""
    for kind, word in CODES:
        if isinstance(error, kind):
            return word
    return "network"


CODES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "name_not_found"),
    (aiohttp.ClientConnectorCertificateError, "tls_certificate"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
    (aiohttp.ClientConnectorError, "connect"),
    (TimeoutError, "timeout"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError), "cut"),
    (aiohttp.ClientResponseError, "not_http"),
)


_statuses: ContextVar[list[int] | None] = ContextVar("statuses", default=None)


class RecordStatuses:
    """Context manager: yields the list to which this task's requests append the HTTP status of every answer."""

    token: Token[list[int] | None]

    def __enter__(self) -> list[int]:
        statuses: list[int] = []
        self.token = _statuses.set(statuses)
        return statuses

    def __exit__(self, *_: object) -> None:
        _statuses.reset(self.token)


class HttpClient:
    """Calls providers over pooled connections. Use as `async with HttpClient(...) as http`.

    `allowed_private`: private hosts and networks that may be called, also without TLS; `connections`: most connections
    open at the same time; `timeout`, `connect_timeout`: seconds; `largest_answer`, `largest_request`: bytes.
    """

    def __init__(
        self,
        allowed_private: Sequence[str] = (),
        *,
        connections: int = 100,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        largest_answer: int = 4 * MIB,
        largest_request: int = 16 * MIB,
    ) -> None:
        self.guard = Guard(allowed_private)
        self.connections = connections
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.largest_answer = largest_answer
        self.largest_request = largest_request
        self._checked_hosts: set[tuple[str, bool]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._deadlines = _Deadlines()

    def __repr__(self) -> str:
        return f"<HttpClient connections={self.connections}>"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.connections, resolver=GuardedResolver(self.guard), ttl_dns_cache=60, keepalive_timeout=15
            ),
            request_class=_Request,
            response_class=_Response,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": "smsapp", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        timeout: float | None = None,
        plain_http: bool = False,
    ) -> HttpAnswer:
        """Return the provider's answer, whatever its status; redirects are returned, not followed.

        `url` is sent unchanged, so its parts must be percent-encoded. `plain_http` permits http:// to a public host.
        Raises NotSent if surely nothing left, OutcomeUnknown if the request may have arrived but no complete answer
        came, AccountError if the address may not be called or the request is too large.
        """
        if self._session is None:
            raise RuntimeError("HttpClient is used outside of `async with`")
        target = self._checked_url(url, plain_http)
        if body is not None and len(body) > self.largest_request:
            raise AccountError("request_too_large", outcome=Outcome.OUR_FAULT)
        attempt = self._deadlines.begin(self.timeout if timeout is None else timeout)
        _attempt.set(attempt)
        try:
            response = await self._open_response(self._session, method, target, headers, body)
            statuses = _statuses.get()
            if statuses is not None:
                statuses.append(response.status)
            return HttpAnswer(response.status, response.headers, await self._read_body(response))
        except ChannelError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            attempt.fail(error)
        except asyncio.CancelledError:
            if attempt.was_cancelled_by_deadline:
                attempt.fail(TimeoutError())
            raise
        finally:
            self._deadlines.end(attempt)

    async def _open_response(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        """Return the response with its headers read; connections that were just closed are skipped."""
        for _ in range(MOST_HUNG_UP):
            try:
                return await session.request(method, url, headers=headers, data=body, allow_redirects=False)
            except _HungUp:
                continue
        raise NotSent("closed", outcome=Outcome.NETWORK)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            length = response.content_length
            if length is not None and length <= self.largest_answer:
                return await response.read()
            pieces: list[bytes] = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > self.largest_answer:
                    raise OutcomeUnknown("answer_too_large", outcome=Outcome.PROVIDER_FAULT)
                pieces.append(piece)
        except BaseException:
            response.close()
            raise
        return b"".join(pieces)

    def check(self, url: str) -> None:
        """Raise AccountError if this address can surely not be called over TLS; its name is not resolved here."""
        self._checked_url(url, plain_http=False)

    def _checked_url(self, url: str, plain_http: bool) -> URL:
        """Return the URL that will be called; raises AccountError. Host names are checked when they are resolved."""
        try:
            target = URL(url, encoded=True)
            end = url.find("/", len("https://"))  # everything up to the host is before it
            if end < 0 or (url[:end], plain_http) not in self._checked_hosts:
                self._check_host(target, plain_http)
                if end > 0:
                    self._checked_hosts.add((url[:end], plain_http))
        except ValueError:
            raise AccountError("address_unreadable", outcome=Outcome.OUR_FAULT) from None
        return target

    def _check_host(self, target: URL, plain_http: bool) -> None:
        host = target.host
        if target.scheme not in {"http", "https"} or not host:
            raise AccountError("address_unreadable", outcome=Outcome.OUR_FAULT)
        address = literal(host)
        if address is not None and not self.guard.allows(host, address):
            raise AccountError("address_not_allowed", outcome=Outcome.OUR_FAULT)
        if target.scheme == "http" and not plain_http and not self.guard.is_named(host):
            raise AccountError("plain_http", outcome=Outcome.OUR_FAULT)
