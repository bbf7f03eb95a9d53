"""Receipts: how quickly callbacks are acknowledged while a campaign is sending, and how quickly they are applied.

    python -m bench.receipts [--receipts 100000] [--database sqlite|postgresql] [--seconds 10] [--per-second 100]

Inbox: an open loop posts callbacks of ten receipts at a fixed pace to gunicorn, as in production, while workers send a
campaign; each is timed from the moment it was due, so a stall shows in all callbacks behind it. Apply: the same
receipts, shuffled, a tenth of them twice and some unmatched, beside the bare staged update of as many rows, which
parses as many callbacks; each three times in turn, in one process that treats Python's garbage collector as a worker
does. Disorder: bench/order.py.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence

import sqlalchemy as sa

import worker
from bench import order, table
from bench.campaign import check
from bench.raw import ledger as raw
from bench.raw.ground import Ground
from bench.stage import Stage, await_end, confirm, draft, fill, sink_process, stage
from smsapp.channels.types import Callback
from smsapp.services.platform import clock
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Run
from tests import builders

PER_CALLBACK, CONNECTIONS = 10, 16
MOST_MS, MOST_RATIO = 100, 2.0
ROUNDS = 3


async def _post(port: int, path: str, bodies: Sequence[bytes], per_second: int) -> list[float]:
    """Post at this pace, whatever the answers take; return the milliseconds of each from when it was due."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    took: list[float] = []
    due = iter(enumerate(bodies))
    begun = time.perf_counter() + 0.1

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n, body in due:
            at = begun + n / per_second
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            writer.write((head % len(body)).encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(answer.decode())
            length = answer.lower().index(b"content-length:") + 15
            await reader.readexactly(int(answer[length : answer.index(b"\r\n", length)]))
            took.append((time.perf_counter() - at) * 1000)
            if b"connection: close" in answer.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return sorted(took)


def sent(rows: int, port: int) -> tuple[ChannelRow, int]:
    """Send a campaign to everybody; return its channel and its run."""
    channel = builders.channel(kind="sink", settings={"url": f"http://127.0.0.1:{port}/"})
    campaign, template = draft(channel)
    confirm(campaign, template)
    run = await_end(campaign.id)
    check(run, rows)
    return channel, run.id


def taken(product: Stage, channel: ChannelRow, run_id: int, port: int, options: argparse.Namespace) -> None:
    """Post receipts of one run while another campaign is sent again and again."""
    web = product.web()
    campaign, template = draft(channel)
    seqs = range(1, min(options.receipts, options.seconds * options.per_second * PER_CALLBACK) + 1)
    path = f"/callbacks/{channel.callback_token}"
    # The first answers, which open every connection, are not counted.
    asyncio.run(
        _post(
            web,
            path,
            raw.callbacks(run_id, seqs[: options.per_second * PER_CALLBACK], PER_CALLBACK),
            options.per_second,
        )
    )
    confirm(campaign, template)
    took = asyncio.run(_post(web, path, raw.callbacks(run_id, seqs, PER_CALLBACK), options.per_second))
    current_session().rollback()
    is_sending = current_session().scalar(sa.select(Run.finished_at).where(Run.campaign_id == campaign.id)) is None
    current_session().commit()
    await_end(campaign.id)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    meanwhile = "while a campaign is sent" if is_sending else "a campaign is sent meanwhile, and ended"
    print(f"{len(took)} callbacks, {options.per_second}/s, {meanwhile}: p50 {p50:.1f} ms, worst {took[-1]:.1f} ms")
    what = f"{options.per_second * PER_CALLBACK} receipts/s taken, p99"
    table.add(options.database, what, f"{p99:.1f} ms", f"median {p50:.1f} ms", p99, most=MOST_MS, unit="ms")


def drained() -> None:
    """Wait until the worker has read all callbacks."""
    deadline = time.monotonic() + 120
    while callback_inbox.unread_count(1) and time.monotonic() < deadline:
        current_session().commit()
        consumer.apply_callbacks(clock.now())
        time.sleep(0.05)
    current_session().commit()


def apply(product: Stage, count: int, port: int, database: str) -> None:
    """Apply receipts of some campaigns, and the bare staged update of as many beside each; their medians count."""
    apply_seconds, bounds = [], []
    for _round in range(ROUNDS):
        bounds.append(bare(product, count))
        apply_seconds.append(applied(*sent(count, port), count))
        print(f"{count:,} receipts applied in {apply_seconds[-1]:.2f} s, by a staged update in {bounds[-1]:.2f} s")
    seconds, bound = statistics.median(apply_seconds), statistics.median(bounds)
    table.add(
        database, f"{count:,} receipts applied", f"{seconds:.2f} s", f"staged update {bound:.2f} s", seconds / bound,
        most=MOST_RATIO,
    )  # fmt: skip


def bare(product: Stage, count: int) -> float:
    """Return the seconds that the staged update takes."""
    ground = Ground(product.raw_url)
    ground.make(count)
    raw.freeze(ground, count)
    raw.write_back(ground, count)
    ground.settle()
    bound = raw.receipts(ground, count)
    ground.drop()
    ground.close()
    return bound.seconds


def applied(channel: ChannelRow, run_id: int, count: int) -> float:
    """Return the seconds it takes to apply stored callbacks of a hundred receipts each, one for each message."""
    seqs = list(range(1, count + 1))
    arrived = seqs + seqs[::10]
    random.Random(5).shuffle(arrived)
    stored = raw.callbacks(run_id, arrived, raw.PER_CALLBACK)
    stored += raw.callbacks(999_999, range(1, 1001), raw.PER_CALLBACK)
    callback_inbox.keep(channel.id, [Callback("POST", "", {}, body) for body in stored], clock.now())
    watch = table.Stopwatch()
    consumer.apply_callbacks(clock.now())
    current_session().commit()
    # More receipts came than in the bound: the double and the unmatched ones.
    seconds = watch.seconds() * count / (len(arrived) + 1000)
    funnel = funnels.run_funnels(current_session(), [run_id])[run_id]
    current_session().commit()
    missing = count // 20
    if (funnel.delivered, funnel.undelivered) != (count - missing, missing):
        raise RuntimeError(f"{funnel.delivered} delivered, {funnel.undelivered} undelivered")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipts", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--per-second", type=int, default=100, help="callbacks, of ten receipts each")
    options = parser.parse_args()
    with stage(options.database, 2) as product, sink_process(20) as port:
        fill(options.receipts)
        channel, run_id = sent(options.receipts, port)
        taken(product, channel, run_id, port, options)
        drained()
        worker.tune_gc_for_bulk_work()
        apply(product, options.receipts, port, options.database)
        order.compare(options.database, options.receipts, port)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
