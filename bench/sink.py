"""A provider for benchmarks and tests: a bare HTTP/1.1 server that answers everything and counts what it took.

    .venv/bin/python -m bench.sink --port 21900 --delay-ms 50

POST anything: 200 with a fixed JSON body after the delay. GET /counts: {"requests", "bytes", "refs", "repeated"}.
With --refs every "ref" in a JSON body is counted, so that a message that was sent twice shows.
It supports only the HTTP that senders need: Content-Length bodies, keep-alive, pipelining.
"""

from __future__ import annotations

import argparse
import asyncio
import builtins
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

REF = re.compile(rb'"ref"\s*:\s*"([^"]{1,80})"')
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
ANSWER = json.dumps({"code": 0, "message": "ok", "id": "sink"}).encode()


@dataclass
class Counts:
    """What has been received since the start (or since `clear`)."""

    requests: int = 0
    bytes: int = 0
    refs: Counter[builtins.bytes] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    """Monotonic seconds of each request, if requested."""

    @property
    def repeated(self) -> int:
        """Return how many refs came more than once."""
        return sum(1 for n in self.refs.values() if n > 1)

    def clear(self) -> None:
        self.requests = self.bytes = 0
        self.refs.clear()
        self.arrivals.clear()

    def as_json(self) -> builtins.bytes:
        counts = {"requests": self.requests, "bytes": self.bytes, "refs": len(self.refs), "repeated": self.repeated}
        return json.dumps(counts).encode()


class Connection(asyncio.Protocol):
    """One client's connection: requests are cut out of the stream and answered in their order."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            match = LENGTH.search(self.buffer, 0, head)
            end = head + 4 + (int(match[1]) if match else 0)
            if len(self.buffer) < end:
                return
            request = bytes(self.buffer[:end])
            del self.buffer[:end]
            self.take(request, head + 4)

    def take(self, request: bytes, body_at: int) -> None:
        if request.startswith(b"GET /counts "):
            self.answer(self.sink.counts.as_json())
            return
        self.sink.count(request, body_at)
        if self.sink.delay:
            asyncio.get_running_loop().call_later(self.sink.delay, self.answer, self.sink.body)
        else:
            self.answer(self.sink.body)

    def answer(self, body: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )


class Sink:
    """The server: `delay` seconds before each answer, `body` as the answer, `refs` to count references."""

    def __init__(self, delay: float = 0.0, body: bytes = ANSWER, *, refs: bool = False, arrivals: bool = False) -> None:
        self.delay = delay
        self.body = body
        self.refs = refs
        self.arrivals = arrivals
        self.counts = Counts()
        self.port = 0

    def count(self, request: bytes, body_at: int) -> None:
        self.counts.requests += 1
        self.counts.bytes += len(request)
        if self.refs:
            self.counts.refs.update(REF.findall(request, body_at))
        if self.arrivals:
            self.counts.arrivals.append(time.monotonic())

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
        """Return the listening server; `self.port` is where."""
        server = await asyncio.get_running_loop().create_server(lambda: Connection(self), host, port, backlog=4096)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def sinking(sink: Sink) -> Iterator[Sink]:
    """Run the sink in a thread of this process while the block lasts: for tests."""
    loop = asyncio.new_event_loop()
    listening = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(sink.serve())
        listening.set()
        loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, name="sink", daemon=True)
    thread.start()
    listening.wait(10)
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _forever(sink: Sink, host: str, port: int) -> None:
    server = await sink.serve(host, port)
    print(f"listening on {host}:{sink.port}, {sink.delay * 1000:.0f} ms before each answer", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=21900)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--body", default=ANSWER.decode(), help="what every request is answered with")
    parser.add_argument("--refs", action="store_true", help="remember every ref in the bodies")
    options = parser.parse_args()
    sink = Sink(options.delay_ms / 1000, options.body.encode(), refs=options.refs)
    try:
        asyncio.run(_forever(sink, options.host, options.port))
    except KeyboardInterrupt:
        print(sink.counts.as_json().decode())


if __name__ == "__main__":
    main()
