"""The network's part of a campaign: bare asyncio streams to a sink on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from bench.raw import Bound

SEPARATOR = b"\r\n\r\n"


async def _one(host: str, port: int, bodies: Iterator[bytes]) -> int:
    """Send bodies over one connection, one after the other, each answered before the next; return how many."""
    reader, writer = await asyncio.open_connection(host, port)
    n = 0
    head = b"POST / HTTP/1.1\r\nHost: sink\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    for body in bodies:
        writer.write(head % len(body) + body)
        answer = await reader.readuntil(SEPARATOR)
        at = answer.lower().index(b"content-length:") + 15
        await reader.readexactly(int(answer[at : answer.index(b"\r\n", at)]))
        n += 1
    writer.close()
    return n


async def _all(host: str, port: int, bodies: Sequence[bytes], in_flight: int) -> float:
    shared = iter(bodies)
    begun = time.perf_counter()
    counts = await asyncio.gather(*(_one(host, port, shared) for _ in range(in_flight)))
    seconds = time.perf_counter() - begun
    if sum(counts) != len(bodies):
        raise RuntimeError(f"{sum(counts)} of {len(bodies)} requests were answered")
    return seconds


def send(bodies: Sequence[bytes], rows: int, port: int, in_flight: int = 50, host: str = "127.0.0.1") -> Bound:
    """Send all bodies, `in_flight` at a time, and wait for every answer."""
    return Bound(f"send, {in_flight} in flight", rows, asyncio.run(_all(host, port, bodies, in_flight)))
