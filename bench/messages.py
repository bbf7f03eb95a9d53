"""Single messages by API, beside a campaign and beside an empty operation of the same server, in turns.

The empty operation is GET /bench-empty (bench/web.py): a key is recognised and counted, nothing else is done. Then the
web server is killed while messages are taken: every one that was answered 202 is in the ledger in the end, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from bench import table
from bench.stage import BY, Stage, confirm, draft, fill, sink_process, stage
from smsapp.domain.api_key import MOST_PER_MINUTE, Scope
from smsapp.domain.message import Status
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import verify
from smsapp.services.sending import actions
from smsapp.store.apps import message_requests
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.api_messages import ApiMessage
from smsapp.store.runs.runs import Message, Run
from tests import builders
from tests.journey.processes import family

CONNECTIONS, KEYS = 32, 2
PEOPLE = 100_000
SLICE = 10.0
"""Seconds of one turn."""
BESIDE = 200
"""Messages a second of the campaign meanwhile."""
WANTED, LEAST = 1000.0, 0.6
"""Messages a second, or this part of the empty operation's rate, whichever is smaller."""
KILLED_AFTER, PATIENCE = 3.0, 600.0


class Connection:
    """A kept connection that asks again and again, and notes what was answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.took: list[float] = []
        """Milliseconds of each answer."""
        self.ids: list[int] = []

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> None:
        """Send a request and note its answer; raises RuntimeError unless it is a success."""
        begun = time.perf_counter()
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().index(b"content-length:") + 15
        body = await self.reader.readexactly(int(head[length : head.index(b"\r\n", length)]))
        if head[9:12] not in {b"200", b"202"}:
            raise RuntimeError(f"{head[:12].decode()} {body.decode()}")
        self.took.append((time.perf_counter() - begun) * 1000)
        if head[9:12] == b"202":
            self.ids.append(json.loads(body)["id"])
        if b"connection: close" in head.lower():
            self.writer.close()
            await self.open()


def requests_of(key: str, template_id: int, numbers: Iterator[int]) -> Iterator[bytes]:
    for n in numbers:
        values = {"name": f"客户{n}"}
        body = json.dumps({"user_id": f"user{n % PEOPLE + 1}", "template_id": template_id, "values": values}).encode()
        head = f"POST /api/v1/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        head += f"Idempotency-Key: bench-message-{n:012d}\r\nContent-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def empty_of(key: str) -> Iterator[bytes]:
    head = f"GET /api/v1/bench-empty HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
    return itertools.repeat(head.encode())


async def ask_for(port: int, requests: list[Iterator[bytes]], seconds: float) -> tuple[float, list[Connection]]:
    """Ask over all connections as fast as answers come; return (answers a second, the connections)."""
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    end = time.perf_counter() + seconds

    async def work(connection: Connection, own: Iterator[bytes]) -> None:
        try:
            await connection.open()
            while time.perf_counter() < end:
                await connection.ask(next(own))
        except (OSError, asyncio.IncompleteReadError):  # the server was killed
            return

    begun = time.perf_counter()
    await asyncio.gather(*(work(each, requests[n % len(requests)]) for n, each in enumerate(connections)))
    return sum(len(each.took) for each in connections) / (time.perf_counter() - begun), connections


def memory_of(pid: int) -> float:
    """Return the MiB of a process and everything that descends from it, what they share counted once."""
    kib = 0
    for each in family(pid):
        text = Path(f"/proc/{each}/smaps_rollup").read_text() if Path(f"/proc/{each}").exists() else ""
        found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
        kib += int(found[1]) if found else 0
    return kib / 1024


def busy(pid: int) -> float:
    """Return the seconds that a process and everything that descends from it have had a processor."""
    ticks = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # with those of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(seconds: int, database: str) -> int:
    """Measure for about so many seconds of messages, and as many of the empty operation; return the exit code."""
    with stage(database, 2) as product, sink_process(20) as sink:
        fill(PEOPLE)
        builders.known_property("$phone")
        settings = {"url": f"http://127.0.0.1:{sink}/"}
        beside = builders.channel(kind="sink", settings=settings, rate=BESIDE)
        channel = builders.channel(kind="sink", settings=settings)
        campaign, template = draft(beside)
        single = builders.template(channel.id, text="尊敬的${name}，您的验证码是778899。")
        keys = [
            api_keys.create(f"bench {n}", [*Scope], Actor("bench"), clock.now(), per_minute=MOST_PER_MINUTE).text
            for n in range(KEYS)
        ]
        confirm(campaign, template)
        port = product.web()
        web = product.processes.running[-1].pid
        numbers = itertools.count()
        messages, empties = [requests_of(key, single.id, numbers) for key in keys], [empty_of(key) for key in keys]
        asyncio.run(ask_for(port, empties, 2))  # connections, caches
        asyncio.run(ask_for(port, messages, 2))
        ids = _in_turns(port, messages, empties, seconds, web, database)
        _check_campaign(campaign)
        ids += _killed(product, port, messages, web)
        _check_ledger(ids)
        _idle(product, keys[0], single.id, numbers, database)
        assert not [check for check in verify.verify() if check.broken]
    return table.exit_code()


def _in_turns(
    port: int, messages: list[Iterator[bytes]], empties: list[Iterator[bytes]], seconds: int, web: int, database: str
) -> list[int]:
    """Measure both in turns and print what they come to; return the ids of the messages."""
    before = memory_of(web)
    rates: list[tuple[float, float]] = []
    ids: list[int] = []
    took: list[float] = []
    empty_took: list[float] = []
    spent = {"empty": 0.0, "ours": 0.0}
    for _ in range(max(1, round(seconds / SLICE))):
        begun = busy(web)
        empty, asked = asyncio.run(ask_for(port, empties, SLICE))
        empty_took += [ms for each in asked for ms in each.took]
        between = busy(web)
        ours, answered = asyncio.run(ask_for(port, messages, SLICE))
        spent["empty"] += between - begun
        spent["ours"] += busy(web) - between
        took += [ms for each in answered for ms in each.took]
        ids += [id_ for each in answered for id_ in each.ids]
        rates.append((ours, empty))
        print(f"  {ours:,.0f} messages/s, empty operation {empty:,.0f}/s", flush=True)
    ours, empty = (statistics.mean(rate[place] for rate in rates) for place in (0, 1))
    bar = min(WANTED / empty, LEAST)
    bound = f"empty operation {empty:,.0f}/s"
    table.add(database, "single messages, beside a campaign", f"{ours:,.0f}/s", bound, ours / empty, least=bar)
    for what, times in (("single messages", took), ("empty operation", empty_took)):
        times.sort()
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        table.add(database, f"answer, {what}", f"p99 {p99:.0f} ms", f"median {p50:.0f} ms, worst {times[-1]:.0f} ms")
    ours_ms, empty_ms = spent["ours"] / len(took) * 1000, spent["empty"] / len(empty_took) * 1000
    table.add(database, "processor time of the web server", f"{ours_ms:.2f} ms", f"empty operation {empty_ms:.2f} ms",
              empty_ms / ours_ms, least=LEAST)  # fmt: skip
    table.add(database, "memory of the web server", f"{memory_of(web):.0f} MiB", f"before {before:.0f} MiB")
    return ids


def _check_campaign(campaign: Campaign) -> None:
    run = current_session().query(Run).filter_by(campaign_id=campaign.id).one()
    current_session().refresh(run)
    print(f"the campaign beside it: {run.state}, its run has {run.planned:,} messages, "
          f"{'over' if run.finished_at else 'not over'}")  # fmt: skip
    current_session().commit()


def _killed(product: Stage, port: int, messages: list[Iterator[bytes]], web: int) -> list[int]:
    """Kill every web process while messages are taken; return the ids that were answered."""

    async def kill() -> list[Connection]:
        asked = asyncio.create_task(ask_for(port, messages, KILLED_AFTER * 2))
        await asyncio.sleep(KILLED_AFTER)
        for pid in family(web):
            os.kill(pid, signal.SIGKILL)
        return (await asked)[1]

    ids = [id_ for each in asyncio.run(kill()) for id_ in each.ids]
    print(f"all web processes were killed after {len(ids):,} more answers")
    return ids


def _check_ledger(ids: list[int]) -> None:
    """Wait until everything is planned and sent; every message that was answered is in the ledger, once."""
    session = current_session()
    begun = time.monotonic()
    left = 1
    while left and time.monotonic() - begun < PATIENCE:
        session.commit()
        queued = sa.select(sa.func.count()).select_from(ApiMessage)
        queued = queued.outerjoin(Message, sa.and_(Message.run_id == ApiMessage.run_id, Message.seq == ApiMessage.seq))
        waits = sa.or_(ApiMessage.run_id.is_(None), ApiMessage.seq.is_(None), Message.status == int(Status.QUEUED))
        left = (session.scalar(queued.where(waits, ApiMessage.reason == "")) or 0) + len(message_requests.waiting(10))
        time.sleep(0.5)
    seconds = time.monotonic() - begun
    found = sa.select(ApiMessage.id, ApiMessage.at, ApiMessage.run_id, ApiMessage.seq, Message.answered_at)
    joined = sa.and_(Message.run_id == ApiMessage.run_id, Message.seq == ApiMessage.seq)
    rows = session.execute(found.outerjoin(Message, joined)).all()
    waited = sorted(row.answered_at - row.at.timestamp() for row in rows if row.answered_at)
    print(f"from request to the provider's answer: median {waited[len(waited) // 2]:.0f} s, "
          f"p99 {waited[int(len(waited) * 0.99)]:.0f} s, worst {waited[-1]:.0f} s")  # fmt: skip
    planned = {row.id: (row.run_id, row.seq) for row in rows if row.seq is not None}
    missing = [id_ for id_ in ids if id_ not in planned]
    runs = session.query(Run).filter(Run.takes_until.is_not(None)).count()
    print(f"{len(ids):,} answered 202, {len({*ids}):,} ids, {len(missing)} of them not in the ledger")
    print(f"{len({*planned.values()}):,} messages in {runs} runs; the last left {seconds:.1f} s after the kill")
    assert not missing
    assert len({*planned.values()}) == len(planned)
    assert len({*ids}) == len(ids)


def _idle(product: Stage, key: str, template_id: int, numbers: Iterator[int], database: str) -> None:
    """Measure how long one message takes from its 202 to the provider's answer while nothing else goes on."""
    session = current_session()
    for run in session.query(Run).filter(Run.finished_at.is_(None), Run.takes_until.is_(None)).all():
        actions.pause(run.id, BY, clock.now())
    port = product.web()
    took = []
    for _ in range(5):
        time.sleep(3)  # its sender has gone
        _, asked = asyncio.run(_one(port, requests_of(key, template_id, numbers)))
        begun = time.perf_counter()
        query = sa.select(Message.status).join(
            ApiMessage, sa.and_(Message.run_id == ApiMessage.run_id, Message.seq == ApiMessage.seq)
        )
        while session.scalar(query.where(ApiMessage.id == asked)) in {None, int(Status.QUEUED)}:
            session.commit()
            time.sleep(0.01)
        session.commit()
        took.append(time.perf_counter() - begun)
    table.add(database, "from 202 to accepted, nothing else on", f"{statistics.median(took):.2f} s",
              f"worst {max(took):.2f} s")  # fmt: skip


async def _one(port: int, requests: Iterator[bytes]) -> tuple[float, int]:
    connection = Connection(port)
    await connection.open()
    await connection.ask(next(requests))
    return connection.took[0], connection.ids[0]
