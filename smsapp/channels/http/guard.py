"""The addresses the product may call: public ones, and the private ones the settings name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from smsapp.channels.errors import AccountError
from smsapp.domain.outcome import Outcome

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Guard:
    """Decides which addresses the product may call: public ones, and the private ones the settings name.

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
        """Return whether the settings allow this host, or this literal address, as a private one."""
        if host.lower().rstrip(".") in self.names:
            return True
        address = literal(host)
        return address is not None and any(address in network for network in self.networks)

    def allows(self, host: str, address: Address) -> bool:
        """Return whether a connection may be made to `address`, to which the name `host` resolved."""
        for inner in (address, *_embedded(address)):
            if any(inner in network for network in self.networks):
                continue
            if inner.is_global and not inner.is_multicast and not any(inner in network for network in SITE_LOCAL):
                continue
            if host.lower().rstrip(".") not in self.names:
                return False
        return True


def literal(host: str) -> Address | None:
    """Return the IP address in the host part of a URL, or None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses embedded in an IPv6 address: mapped, compatible, translated, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address] = [ipv4 for ipv4 in (address.ipv4_mapped, address.sixtofour) if ipv4 is not None]
    if any(address in network for network in EMBEDDING_NETWORKS) and int(address) > 1:  # not :: and ::1
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return inner


EMBEDDING_NETWORKS = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
)
"""NAT64, its local prefix, IPv4-compatible and SIIT: the last 32 bits are an IPv4 address."""
SITE_LOCAL = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("fec0::/10"))
"""Site-local networks for which `is_global` returns True."""


class GuardedResolver(AbstractResolver):
    """Resolves names to allowed addresses only; the connection goes to exactly these."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self.inner.resolve(host, port, family)
        allowed = [
            result
            for result in results
            if self.guard.allows(host, ipaddress.ip_address(result["host"].partition("%")[0]))
        ]
        if not allowed:
            raise AccountError("address_not_allowed", outcome=Outcome.OUR_FAULT)
        return allowed

    async def close(self) -> None:
        await self.inner.close()
