"""The HTTP client alone, without a database, a template or a ledger: how many requests per second it makes."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import aiohttp

from bench.raw import wire

BODY = json.dumps(
    {"messages": [{"ref": "1-500000", "phone": "+8613800500000", "text": "【青禾商城】尊敬的客户500000，" + "积" * 30}]}
).encode()


async def _all(requests: int, port: int, in_flight: int) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def connection(numbers: Iterator[int]) -> None:
            for _ in numbers:
                async with session.post(
                    f"http://127.0.0.1:{port}/", data=BODY, headers={"Content-Type": "application/json"}
                ) as answer:
                    await answer.read()

        shared = iter(range(requests))
        begun = time.perf_counter()
        await asyncio.gather(*(connection(shared) for _ in range(in_flight)))
        return requests / (time.perf_counter() - begun)


def _client(requests: int, port: int, in_flight: int) -> float:
    return asyncio.run(_all(requests, port, in_flight))


def client(requests: int, port: int, in_flight: int) -> float:
    """Return the requests per second of aiohttp, the library the product sends with, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
        return own.submit(_client, requests, port, in_flight).result()


def streams(requests: int, port: int, in_flight: int) -> float:
    """Return the requests per second of bare asyncio streams."""
    return wire.send([BODY] * requests, requests, port, in_flight).rate
