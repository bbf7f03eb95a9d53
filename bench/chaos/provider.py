"""A provider that counts, in a process of its own: it answers late, with 5xx, or cuts the line, and sends receipts.

    python -m bench.chaos.provider --port 21901 --seed 1

POST / takes one message {"to", "text", "ref", "back"}; GET /counts returns how often each (run, number) came, the
references of failed requests, and how many receipts are still to be sent; GET /texts how often each text came to a
number. It is never killed: its counts are the truth.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter

import aiohttp
from aiohttp import web

PATIENCE = 0.3
"""Seconds before a receipt that was not acknowledged is sent again."""


class Provider:
    """See the module. `trouble` is the share of requests that fail, `receipts` that of messages with a receipt."""

    def __init__(self, seed: int, delay: float, trouble: float, receipts: float) -> None:
        self.dice = random.Random(seed)
        self.delay, self.trouble, self.receipts = delay, trouble, receipts
        self.submits: Counter[tuple[int, str]] = Counter()
        self.lengths: dict[tuple[int, str], int] = {}
        """(run, number) -> characters of its text."""
        self.texts: Counter[tuple[str, str]] = Counter()
        """(text, number) -> how often it came, whatever the sender calls its run."""
        self.arrivals: list[tuple[float, int]] = []
        self.troubled: list[str] = []
        self.errands: set[asyncio.Task[None]] = set()
        self.courier: aiohttp.ClientSession | None = None

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Count a message, then answer it, or not."""
        message = await request.json()
        run_id = int(message["ref"].partition("-")[0])
        self.submits[run_id, message["to"]] += 1
        self.texts[message["text"], message["to"]] += 1
        self.lengths[run_id, message["to"]] = len(message["text"])
        self.arrivals.append((time.time(), run_id))
        if self.dice.random() < self.receipts:
            errand = asyncio.create_task(self._bring(message["back"], message["ref"]))
            self.errands.add(errand)
            errand.add_done_callback(self.errands.discard)
        await asyncio.sleep(self.delay * self.dice.uniform(0.2, 1.8))
        luck = self.dice.random()
        if luck < self.trouble:
            self.troubled.append(message["ref"])
            if luck < self.trouble / 2 and request.transport is not None:
                request.transport.abort()
            return web.Response(status=503, text="later")
        return web.json_response({"code": 0})

    async def _bring(self, where: str, ref: str) -> None:
        """Send a receipt until it is acknowledged; some are sent at once, some twice."""
        await asyncio.sleep(self.dice.choice((0.0, 0.1, 1.0, 2.0)))
        for _ in range(self.dice.choice((1, 1, 1, 2))):
            while not await self._brought(where, {"ref": ref, "status": "DELIVRD"}):
                await asyncio.sleep(PATIENCE)

    async def _brought(self, where: str, receipt: dict[str, str]) -> bool:
        if self.courier is None:
            self.courier = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self.courier.post(where, data=receipt) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def counts(self, request: web.Request) -> web.Response:
        """Return the counts of the runs in `?runs=1,2`."""
        runs = {int(run_id) for run_id in request.query.get("runs", "").split(",") if run_id}
        return web.json_response(
            {
                "submits": [
                    [run, to, n, self.lengths[run, to]] for (run, to), n in self.submits.items() if run in runs
                ],
                "troubled": [ref for ref in self.troubled if int(ref.partition("-")[0]) in runs],
                "arrivals": [at for at, run in self.arrivals if run in runs],
                "errands": len(self.errands),
            }
        )

    async def texts_that_came(self, request: web.Request) -> web.Response:
        """Return how often each (text, number) came, for texts with one of the words `?text=..&text=..`."""
        wanted = tuple(request.query.getall("text"))
        return web.json_response([n for (text, _to), n in self.texts.items() if any(word in text for word in wanted)])


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", nargs="+", default=["127.0.0.1"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=40)
    parser.add_argument("--trouble", type=float, default=0.01, help="share of requests that are cut or answered 503")
    parser.add_argument("--receipts", type=float, default=0.15, help="share of messages that get a receipt")
    options = parser.parse_args()
    provider = Provider(options.seed, options.delay_ms / 1000, options.trouble, options.receipts)
    app = web.Application()
    app.add_routes(
        [web.post("/", provider.take), web.get("/counts", provider.counts), web.get("/texts", provider.texts_that_came)]
    )
    web.run_app(app, host=options.host, port=options.port, access_log=None, print=lambda *_: None)


if __name__ == "__main__":
    main()
