"""Trusted proxies: whose word about the client counts."""

from __future__ import annotations

import pytest

from smsapp.domain.proxies import TrustedProxies

NETWORKS = ("127.0.0.1", "10.0.0.0/24", "fd00::/8", "unix")


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.0.0.9", True),
        ("10.0.1.9", False),
        ("::ffff:10.0.0.9", True),
        ("fd12::1", True),
        ("2001:db8::1", False),
        ("", True),
        ("no address", False),
    ],
)
def test_a_peer_is_trusted_by_its_network(peer: str, is_trusted: bool) -> None:
    assert TrustedProxies(NETWORKS).trusts(peer) is is_trusted


def test_a_unix_socket_is_trusted_only_if_it_is_named() -> None:
    assert not TrustedProxies(("0.0.0.0/0", "::/0")).trusts("")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        # One proxy that adds to what the client has begun: the forged part is to the left of it.
        ("127.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        # A load balancer and nginx.
        ("127.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        # A client that names a trusted network itself gains nothing: its own address ends the walk.
        ("127.0.0.1", "6.6.6.6, 10.0.0.1, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        # All are ours: the farthest.
        ("127.0.0.1", "10.0.0.3, 10.0.0.9", "10.0.0.3"),
        ("", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        # Whoever is not trusted speaks for himself.
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
        # Ports, brackets and mapped addresses of some proxies.
        ("127.0.0.1", "203.0.113.7:5123", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        # What is no address ends the walk where it is.
        ("127.0.0.1", "203.0.113.7, unknown, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7,", "127.0.0.1"),
    ],
)
def test_the_walk_goes_from_the_right_while_hops_are_trusted(peer: str, forwarded_for: str, client: str) -> None:
    assert TrustedProxies(NETWORKS).client(peer, forwarded_for) == client


def test_a_list_of_thousands_of_hops_is_not_walked_to_its_end() -> None:
    assert TrustedProxies(NETWORKS).client("127.0.0.1", "6.6.6.6" + ", 10.0.0.3" * 5000) == "10.0.0.3"
