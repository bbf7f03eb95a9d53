"""Uploads: what /up takes of single events, single profiles and hundreds of them, beside a freeze and a flood.

    python -m bench.up [--database sqlite|postgresql] [--seconds 4] [--people 1000000] [--records 100000]

Every rate is beside that of an empty endpoint of the same server, or of the driver's bare upsert of the same
rows in transactions of as many. Profiles count once they are applied, not once they are acknowledged:
the clock stops when the last one is in the contacts. Requests come over kept connections, as from a proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa

from bench import table
from bench.raw import contacts as raw
from bench.stage import Stage, fill, stage
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import opening
from smsapp.store.apps import uploads
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session, db
from tests import builders
from tests.engine import confirmed

CONNECTIONS = 32
"""Kept open, as between a proxy and this server: what waits at the same moment is committed together."""
LEAST_EVENTS, LEAST_SINGLES, LEAST_HUNDREDS, MOST_FROZEN, MOST_FLOODED = 0.7, 0.4, 0.25, 5.0, 2.0
PATIENCE = 120.0
PER_REQUEST = 100
ROUNDS = 5
"""Of each rate the best one counts: now and then one of the two web processes gets all connections, which halves it."""
PACE = 100
"""Requests a second while a freeze or a flood goes on."""


def record(key: str, n: int, turn: int, what: str = "$profile_set") -> dict[str, object]:
    """A record as SDKs make it, with four properties."""
    return {
        "appid": key,
        "xwho": f"member{n}",
        "xwhat": what,
        "xwhen": 1795356372998,
        "xcontext": {
            "$lib": "Java",
            "$lib_version": "4.1.1",
            "$platform": "Java",
            "$is_login": True,
            "$debug": 0,
            "$phone": f"138{n % 10**8:08d}",
            "nickname": f"客户{n}-{turn}",
            "points": turn,
            "vip": True,
        },
    }


def request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """A connection that is kept and asks again and again."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, asked: bytes) -> int:
        """Send one request; return the status of the answer."""
        self.writer.write(asked)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().index(b"content-length:") + 15
        await self.reader.readexactly(int(head[length : head.index(b"\r\n", length)]))
        if b"connection: close" in head.lower():
            self.writer.close()
            await self.open()
        return int(head[9:12])


async def _closed(port: int, requests: Iterator[bytes], seconds: float, expected: int, connections: int) -> float:
    """Ask as fast as answers come; return the requests per second."""
    done = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        client = Client(port)
        await client.open()
        for asked in requests:
            status = await client.ask(asked)
            if status != expected:
                raise RuntimeError(f"{status} instead of {expected}")
            done += 1
            if time.perf_counter() > end:
                return

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return done / (time.perf_counter() - begun)


async def _open(port: int, requests: Sequence[bytes], per_second: float) -> list[float]:
    """Ask at this pace; return the milliseconds of each from when it was due, sorted."""
    took: list[float] = []
    due = iter(enumerate(requests))
    begun = time.perf_counter() + 0.1

    async def work() -> None:
        client = Client(port)
        await client.open()
        for n, asked in due:
            at = begun + n / per_second
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if await client.ask(asked) != 200:
                raise RuntimeError("not taken")
            took.append((time.perf_counter() - at) * 1000)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return sorted(took)


def forever(asked: bytes) -> Iterator[bytes]:
    while True:
        yield asked


def await_applied() -> None:
    """Return once every upload that was acknowledged is in the contacts."""
    end = time.monotonic() + PATIENCE
    while uploads.waiting(1):
        if time.monotonic() > end:
            raise TimeoutError("uploads are not applied")
        time.sleep(0.02)


def events(port: int, key: str, given: argparse.Namespace) -> float:
    """Measure events that are thrown away; return the rate of the empty endpoint."""
    event = request(f"/up?appid={key}", json.dumps([record(key, 1, 1, "$pageview")]).encode())
    empty = request("/bench/empty", b"x" * 300)
    rates: dict[str, list[float]] = {"empty": [], "event": []}
    for _ in range(ROUNDS):
        for name, asked in (("empty", empty), ("event", event)):
            rates[name].append(asyncio.run(_closed(port, forever(asked), given.seconds / 2, 200, CONNECTIONS)))
    bound, ours = max(rates["empty"]), max(rates["event"])
    table.add(
        given.database, "events thrown away by /up", f"{ours:,.0f}/s", f"empty endpoint {bound:,.0f}/s", ours / bound,
        least=LEAST_EVENTS,
    )  # fmt: skip
    return bound


def singles(port: int, key: str, given: argparse.Namespace, bound: float) -> None:
    """Measure profiles of one record, until they are applied."""
    rates = []
    for turn in range(ROUNDS):
        count = max(1, int(bound * LEAST_SINGLES * given.seconds))
        bodies = iter([request(f"/up?appid={key}", json.dumps([record(key, n, turn)]).encode()) for n in range(count)])
        watch = table.Stopwatch()
        asyncio.run(_closed(port, bodies, PATIENCE, 200, CONNECTIONS))
        taken = watch.seconds()
        await_applied()
        rates.append(count / watch.seconds())
        print(f"{count:,} single profiles taken in {taken:.2f} s, applied after {watch.seconds():.2f} s")
    ours = max(rates)
    table.add(
        given.database, "profiles of one record, applied", f"{ours:,.0f}/s", f"empty endpoint {bound:,.0f}/s",
        ours / bound, least=LEAST_SINGLES,
    )  # fmt: skip


def hundreds(found: Stage, port: int, key: str, given: argparse.Namespace) -> None:
    """Measure profiles of a hundred records, until they are applied, beside the driver's upsert of the same rows."""
    ours, bounds = [], []
    for turn in range(3):
        bodies = [
            request(
                f"/up?appid={key}",
                json.dumps([record(key, n, 100 + turn) for n in range(begin, begin + PER_REQUEST)]).encode(),
            )
            for begin in range(0, given.records, PER_REQUEST)
        ]
        # As many as one of our transactions holds.
        per_transaction = applying.BULK_BYTES * given.records // sum(map(len, bodies))
        watch = table.Stopwatch()
        asyncio.run(_closed(port, iter(bodies), PATIENCE, 200, 4))
        taken = watch.seconds()
        await_applied()
        ours.append(given.records / watch.seconds())
        current_session().rollback()
        kept = (Contact.xwho, Contact.properties, Contact.phones, Contact.sources)
        members = sa.select(*kept).where(Contact.xwho.startswith("member")).limit(given.records)
        profiles = [tuple(row) for row in current_session().execute(members)]
        current_session().rollback()
        bounds.append(given.records / raw.upsert(found.raw_url, profiles, per_transaction))
        print(f"{given.records:,} taken in {taken:.2f} s, applied at {ours[-1]:,.0f}/s, upsert {bounds[-1]:,.0f}/s")
    rate, bound = statistics.median(ours), statistics.median(bounds)
    table.add(
        given.database, f"profiles, {PER_REQUEST} a request, applied", f"{rate:,.0f}/s",
        f"driver's upsert {bound:,.0f}/s", rate / bound, least=LEAST_HUNDREDS,
    )  # fmt: skip


async def _use_up(port: int, asked: bytes) -> None:
    """Ask until a quota is used up."""
    client = Client(port)
    await client.open()
    while await client.ask(asked) != 429:
        await asyncio.sleep(1.0)


def while_frozen(found: Stage, port: int, key: str, given: argparse.Namespace) -> None:
    """Measure single profiles at a fixed pace while a campaign to everybody is frozen."""
    await_applied()
    current_session().execute(sa.delete(Contact))
    current_session().commit()
    fill(given.people)
    channel = builders.channel()
    _campaign, run_id = confirmed(clock.now(), channel_id=channel.id)
    current_session().commit()
    db.session.remove()

    def freeze() -> None:
        for engine in db.engines.values():
            engine.dispose(close=False)
        opening.open_run(run_id, clock.now())

    def insert() -> None:
        raw.insert(found.raw_url, given.people)

    bodies = [request(f"/up?appid={key}", json.dumps([record(key, n, 7)]).encode()) for n in range(PACE * 60)]
    # The first time a new PostgreSQL writes so much it makes the files of its log, and every commit waits for each.
    insert()
    raw.checkpoint(found.raw_url)
    asyncio.run(_open(port, bodies[: PACE * 3], PACE))
    bare, bare_median, _span = _beside(insert, port, bodies)
    table.add(
        given.database, "/up while the driver inserts as many, p99", f"{bare:.1f} ms", f"median {bare_median:.1f} ms",
        bare / bare_median,
    )  # fmt: skip
    p99, median, span = _beside(freeze, port, bodies)
    print(f"{given.people:,} frozen in {span:.1f} s")
    table.add(
        given.database, f"/up while {given.people:,} are frozen, p99", f"{p99:.1f} ms", f"median {median:.1f} ms",
        p99 / median, most=MOST_FROZEN,
    )  # fmt: skip


def _beside(work: Callable[[], None], port: int, bodies: Sequence[bytes]) -> tuple[float, float, float]:
    """Return the 99th percentile and the median of profiles, in ms, while `work` goes on, and its seconds."""
    # A process of its own, as a worker is: a thread would hold up who asks and looks at the clock.
    at_work = multiprocessing.get_context("fork").Process(target=work)
    watch = table.Stopwatch()
    at_work.start()
    took: list[float] = []
    batch = PACE * 2
    while at_work.is_alive():
        took += asyncio.run(_open(port, bodies[len(took) : len(took) + batch], PACE))
    span = watch.seconds()
    at_work.join()
    if at_work.exitcode:
        raise RuntimeError("the work beside was not done")
    took.sort()
    median, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"{len(took)} profiles in {span:.1f} s, worst {took[-1]:.1f} ms")
    return p99, median, span


def _pour(port: int, asked: bytes) -> None:
    """Ask over two connections as fast as answers come, without end."""

    async def work() -> None:
        client = Client(port)
        await client.open()
        while True:
            await client.ask(asked)

    async def both() -> None:
        await asyncio.gather(work(), work())

    asyncio.run(both())


def flooded(port: int, key: str, given: argparse.Namespace) -> None:
    """Measure an ordinary app while a public key that is at its quota sends large bodies as fast as it is refused."""
    public = app_keys.create("Site", KeyKind.BROWSER, Actor("bench"), clock.now()).key
    many = json.dumps([record(public, n, 1) for n in range(10_000)]).encode()
    large = request("/up", base64.b64encode(gzip.compress(many)))
    time.sleep(1.1)
    asyncio.run(_use_up(port, large))
    await_applied()
    bodies = [request(f"/up?appid={key}", json.dumps([record(key, n, 9)]).encode()) for n in range(PACE * 5)]
    alone = asyncio.run(_open(port, bodies, PACE))
    # A process of its own: a thread would hold up who asks and looks at the clock.
    flood = multiprocessing.get_context("fork").Process(target=_pour, args=(port, large), daemon=True)
    flood.start()
    time.sleep(2)
    beside = asyncio.run(_open(port, bodies, PACE))
    flood.terminate()
    flood.join()
    before, after = statistics.median(alone), statistics.median(beside)
    table.add(
        given.database, "ordinary app beside a key at its quota", f"{after:.1f} ms", f"alone {before:.1f} ms",
        after / before, most=MOST_FLOODED,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--records", type=int, default=100_000)
    given = parser.parse_args()
    wide = 10_000_000
    # A server key has ten times as much: enough for all measurements, while a public key can use up its records.
    limits = {
        "UP_REQUESTS_PER_MINUTE": wide,
        "UP_RECORDS_PER_DAY": max(50_000, given.records // 2),
        "UP_NEW_CONTACTS_PER_DAY": max(5_000, given.records // 5),
        "UP_MB_PER_DAY": wide,
    }
    with stage(given.database, 1, **limits) as found:
        key = app_keys.create("Server", KeyKind.SERVER, Actor("bench"), clock.now()).key
        port = found.web()
        bound = events(port, key, given)
        singles(port, key, given, bound)
        hundreds(found, port, key, given)
        flooded(port, key, given)
        while_frozen(found, port, key, given)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
