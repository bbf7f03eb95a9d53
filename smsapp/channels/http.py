"""The one HTTP client all adapters share: it is exact about the border between *surely not sent* and *maybe*.

`NotSent` is raised only while not a single byte of the request can have left: the address was not found or not
allowed to answer, the connection was refused or timed out, TLS failed, no connection became free, or the kept-alive
connection turned out to be closed before we wrote. From the moment bytes are handed to the socket every failure is
`OutcomeUnknown`. No request is ever repeated after that moment, whatever its method: a GET sends an SMS, too.

Addresses, headers and bodies hold passwords and numbers, so nothing of them is in an error, a repr or a log line.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import select
import socket
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, NoReturn, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from smsapp.channels.base import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.domain.outcome import Outcome

MIB = 1024 * 1024
STALE_TRIES = 3
"""How many connections closed by the other side in the last moment are put aside before we give up."""
WATCH = 0.05
"""Seconds between looks at which calls take too long."""
POLLRDHUP = getattr(select, "POLLRDHUP", 0)
"""Linux tells of the other side's FIN; a broken connection is reported everywhere, without asking."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HttpAnswer:
    """A complete answer: `status`, `headers` (names in any case), `body`."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status} {len(self.body)} bytes>"

    def text(self) -> str:
        """Return the body as UTF-8; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body read as JSON; raises ValueError."""
        return json.loads(self.body)

    def fields(self) -> dict[str, Any]:
        """Return the body read as a JSON object; an empty one if it is anything else."""
        try:
            found = self.json()
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


STATUSES: dict[int, Outcome] = {
    # what makes a channel wait for a person, whatever the provider writes beside it
    401: Outcome.CREDENTIALS,
    402: Outcome.BALANCE,
    403: Outcome.CREDENTIALS,
    404: Outcome.OUR_FAULT,
    405: Outcome.OUR_FAULT,
    407: Outcome.CREDENTIALS,
    410: Outcome.OUR_FAULT,
    415: Outcome.OUR_FAULT,
}


def retry_after(answer: HttpAnswer) -> float | None:
    """Return the seconds a provider asks to wait, at most an hour; None if it does not say."""
    try:
        return min(max(float(answer.headers.get("Retry-After", "")), 0.0), 3600.0)
    except ValueError:
        return None


def raise_for_status(answer: HttpAnswer, code: str = "") -> None:
    """Raise what the status alone says, unless it is 2xx: for answers whose body tells no more than `code`."""
    code = code or f"HTTP {answer.status}"
    if answer.status == 429:
        raise Throttled(code, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
    if answer.status >= 500:
        raise OutcomeUnknown(code, outcome=Outcome.PROVIDER_FAULT)
    if answer.status >= 300:
        raise AccountError(code, outcome=STATUSES.get(answer.status, Outcome.OUR_FAULT))


class Guard:
    """Which addresses the product may call: public ones, and the private ones the settings name.

    `allowed` holds host names ("kannel.lan"), addresses or networks ("10.1.0.0/16").
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self.names: set[str] = set()
        self.networks: list[Network] = []
        for word in allowed:
            try:
                self.networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                self.names.add(word.lower().rstrip("."))

    def is_named(self, host: str) -> bool:
        """Say whether the settings name this host, or this literal address, as a private one that may be called."""
        if host.lower().rstrip(".") in self.names:
            return True
        address = literal(host)
        return address is not None and any(address in network for network in self.networks)

    def allows(self, host: str, address: Address) -> bool:
        """Say whether a connection to `address`, found under the name `host`, may be made."""
        for inner in (address, *_inside(address)):
            if any(inner in network for network in self.networks):
                continue
            if inner.is_global and not inner.is_multicast and not any(inner in network for network in LOCAL):
                continue
            if host.lower().rstrip(".") not in self.names:
                return False
        return True


def literal(host: str) -> Address | None:
    """Return the address a host part spells out, or None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _inside(address: Address) -> list[Address]:
    """Return the IPv4 addresses an IPv6 address carries inside: mapped, compatible, translated, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address] = [one for one in (address.ipv4_mapped, address.sixtofour) if one is not None]
    if any(address in network for network in IPV4_AT_THE_END) and int(address) > 1:  # not :: and ::1
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return inner


IPV4_AT_THE_END = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
)
"""NAT64, its local prefix, IPv4-compatible and SIIT: the last 32 bits are an IPv4 address."""
LOCAL = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("fec0::/10"))
"""Networks of a site, which `is_global` takes for public ones."""


class _Resolver(AbstractResolver):
    """Looks names up and hands out only allowed addresses; the connection goes to exactly these."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self.inner.resolve(host, port, family)
        allowed = [one for one in found if self.guard.allows(host, ipaddress.ip_address(one["host"].partition("%")[0]))]
        if not allowed:
            raise AccountError("address_not_allowed", outcome=Outcome.OUR_FAULT)
        return allowed

    async def close(self) -> None:
        await self.inner.close()


class _Stale(Exception):
    """The connection we were given was closed by the other side before we wrote."""


class _Attempt:
    """One call: remembers whether bytes may have left, and when it has to be over."""

    __slots__ = ("cancelling", "left", "overdue", "task", "until")

    def __init__(self, task: asyncio.Task[Any], until: float) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.until = until
        self.left = self.overdue = False

    def fail(self, error: BaseException) -> NoReturn:
        """Raise what this failure means for the messages of the request."""
        code = _code(error)
        if self.left:
            raise OutcomeUnknown(code, outcome=Outcome.NETWORK) from None
        raise NotSent(code, outcome=Outcome.NETWORK) from None

    def cut(self) -> None:
        """End the call, which has taken too long, as asyncio.timeout does."""
        self.overdue = True
        self.task.cancel()

    @property
    def was_cut(self) -> bool:
        """Say whether the call was cut and nobody else wants its task to end."""
        return self.overdue and self.task.cancelling() - 1 <= self.cancelling


_attempt: ContextVar[_Attempt] = ContextVar("attempt")
"""The call this task makes. aiohttp's middlewares would do as well, and cost each call two coroutines more."""


class _Request(aiohttp.ClientRequest):
    """Notes the moment before the first byte is written; never writes into a connection that is closed already."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        transport = conn.transport
        if transport is None or transport.is_closing() or _said_goodbye(transport):
            raise _Stale
        _attempt.get().left = True
        return await super().send(conn)


class _Response(aiohttp.ClientResponse):
    """Tells failures in our own words from inside aiohttp's loop, because that loop repeats on its own errors."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except (aiohttp.ClientError, OSError) as error:
            _attempt.get().fail(error)


def _said_goodbye(transport: asyncio.Transport) -> bool:
    """Say whether the other side has closed the connection without the event loop having seen it yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), POLLRDHUP)
    return bool(poll.poll(0))


class _Watch:
    """Cuts calls that take too long: one look at all of them, because a timer for each took a twelfth of a call."""

    def __init__(self) -> None:
        self.calls: set[_Attempt] = set()
        self.next: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> _Attempt:
        """Return the call this task begins to make."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made by a task")
        loop = task.get_loop()
        attempt = _Attempt(task, loop.time() + seconds)
        self.calls.add(attempt)
        if self.next is None:
            self.next = loop.call_later(WATCH, self._look, loop)
        return attempt

    def end(self, attempt: _Attempt) -> None:
        """Forget a call that is over."""
        self.calls.discard(attempt)
        if attempt.overdue:
            attempt.task.uncancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for attempt in self.calls:
            if attempt.until <= now and not attempt.overdue:
                attempt.cut()
        self.next = loop.call_later(WATCH, self._look, loop) if self.calls else None


def _code(error: BaseException) -> str:
    """Return a short word for a failure; never its text, which holds addresses."""
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
    """Yields the list into which the status of every answer to a request of this task is written meanwhile."""

    token: Token[list[int] | None]

    def __enter__(self) -> list[int]:
        heard: list[int] = []
        self.token = _statuses.set(heard)
        return heard

    def __exit__(self, *_: object) -> None:
        _statuses.reset(self.token)


class HttpClient:
    """Keeps connections open and calls providers through them. Use as `async with HttpClient(...) as http`.

    `allowed_private`: the private hosts and networks that may be called (and without TLS); `connections`: most of them
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
        self._passed: set[tuple[str, bool]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._watch = _Watch()

    def __repr__(self) -> str:
        return f"<HttpClient connections={self.connections}>"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.connections, resolver=_Resolver(self.guard), ttl_dns_cache=60, keepalive_timeout=15
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
        """Return the provider's answer, whatever its status; a redirect is an answer like any other.

        `url` is sent as it stands, so its parts must be percent-encoded. `plain_http` permits http:// to a public host.
        Raises NotSent if surely nothing left, OutcomeUnknown if the request may have arrived but no whole answer came,
        AccountError if the address is none that may be called.
        """
        if self._session is None:
            raise RuntimeError("HttpClient is used outside of `async with`")
        target = self._checked(url, plain_http)
        if body is not None and len(body) > self.largest_request:
            raise AccountError("request_too_large", outcome=Outcome.OUR_FAULT)
        attempt = self._watch.begin(self.timeout if timeout is None else timeout)
        _attempt.set(attempt)
        try:
            response = await self._begun(self._session, method, target, headers, body)
            heard = _statuses.get()
            if heard is not None:
                heard.append(response.status)
            return HttpAnswer(response.status, response.headers, await self._body(response))
        except ChannelError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            attempt.fail(error)
        except asyncio.CancelledError:
            if attempt.was_cut:
                attempt.fail(TimeoutError())
            raise
        finally:
            self._watch.end(attempt)

    async def _begun(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        """Return the head of the answer; connections closed in the last moment are put aside."""
        for _ in range(STALE_TRIES):
            try:
                return await session.request(method, url, headers=headers, data=body, allow_redirects=False)
            except _Stale:
                continue
        raise NotSent("closed", outcome=Outcome.NETWORK)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
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

    def _checked(self, url: str, plain_http: bool) -> URL:
        """Return the address as it will be called; raises AccountError. Names are checked when they are looked up."""
        try:
            target = URL(url, encoded=True)
            end = url.find("/", len("https://"))  # everything up to the host is before it
            if end < 0 or (url[:end], plain_http) not in self._passed:
                self._pass(target, plain_http)
                if end > 0:
                    self._passed.add((url[:end], plain_http))
        except ValueError:
            raise AccountError("address_unreadable", outcome=Outcome.OUR_FAULT) from None
        return target

    def _pass(self, target: URL, plain_http: bool) -> None:
        host = target.host
        if target.scheme not in {"http", "https"} or not host:
            raise AccountError("address_unreadable", outcome=Outcome.OUR_FAULT)
        address = literal(host)
        if address is not None and not self.guard.allows(host, address):
            raise AccountError("address_not_allowed", outcome=Outcome.OUR_FAULT)
        if target.scheme == "http" and not plain_http and not self.guard.is_named(host):
            raise AccountError("plain_http", outcome=Outcome.OUR_FAULT)
