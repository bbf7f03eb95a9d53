"""Which peers of a connection are trusted proxies, and who the client behind them is."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

UNIX = "unix"
"""Names, among networks, whoever connects through a unix socket."""
MOST_HOPS = 20


class TrustedProxies:
    """Networks whose peers say for whom they ask; "unix" among them trusts peers of a unix socket."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ValueError if one is neither an address nor a network nor "unix"."""
        self._unix = UNIX in networks
        self._networks: list[IPv4Network | IPv6Network] = [
            ipaddress.ip_network(text) for text in networks if text != UNIX
        ]
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up)

    def trusts(self, peer: str) -> bool:
        """Return whether this peer, "" for one of a unix socket, is a trusted proxy."""
        return self._is_trusted(peer) if peer else self._unix

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the address of the client behind `peer`: X-Forwarded-For is walked from the right.

        Each hop was added by the one to its right, so it is believed only while that one is trusted. What is no address
        ends the walk.
        """
        address = peer
        for hop in reversed(forwarded_for.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
            if not self.trusts(address):
                break
            next_address = _plain_address(hop.strip())
            if not next_address:
                break
            address = next_address
        return address

    def _look_up(self, peer: str) -> bool:
        try:
            address = _unmapped(ipaddress.ip_address(peer))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@lru_cache(maxsize=4096)
def _plain_address(text: str) -> str:
    """Return the address without the port that some proxies add; "" if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(_unmapped(ipaddress.ip_address(text)))
    except ValueError:
        return ""


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that a server with one socket for both kinds shows as ::ffff:a.b.c.d."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
