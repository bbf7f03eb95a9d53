"""Opening a connection to an SMSC, under the same guard as calls over HTTP; errors of a session as the product's."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp.protocol.errors import NoAnswer, SmppError
from smsapp.channels.smpp.protocol.session import Session
from smsapp.domain.outcome import Outcome

CONNECT_SECONDS = 10.0


def channel_error(error: SmppError) -> ChannelError:
    """Return the product's error for a request of a message that got no answer."""
    kind = OutcomeUnknown if isinstance(error, NoAnswer) else NotSent
    return kind(error.code, outcome=Outcome.NETWORK)


async def connect(
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
        raise NotSent(_connect_code(error), outcome=Outcome.NETWORK) from None


def _connect_code(error: BaseException) -> str:
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
