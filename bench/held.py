"""The cost of small claims for a held connection, of which few messages are unconfirmed after a kill.

    python -m bench.held [--rows 4000] [--pairs 3] [--window 10] [--delay 0 0.02] [--database sqlite|postgresql]

The same campaign is sent over the same SMSC with small claims and early write-backs, and with whole batches and none,
in turn. Printed are the quickest of each, and the most messages that were claimed and not written back at any moment,
which a kill would leave unconfirmed. Small claims may take at most LIMIT times as long as whole batches.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import sqlalchemy as sa
from flask import Flask

from bench import table
from bench.stage import BY, TEXT, fill, stage
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp import Smpp
from smsapp.domain.message import Status
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.sending import held_connections, opening, result_writer
from smsapp.services.sending.run_registry import ActiveChannel
from smsapp.store.db import current_session, db
from smsapp.store.runs.tallies import Tally, tally_key
from smsapp.store.settings import settings
from tests import builders
from tests.channels.smsc import PASSWORD, SYSTEM_ID, Link, Submit, smsc
from tests.engine import confirmed

LIMIT = 1.05
LOOK = 0.02
"""Seconds between counts of the messages in flight."""


@dataclass
class Sent:
    """What one campaign took: wall and processor seconds, and the most messages in flight."""

    seconds: float
    cpu: float
    most_out: int


def serve(delay: float, pipe: Connection) -> None:
    """Run an SMSC that answers after this delay; send its address over the pipe, and end when something comes back."""

    def answer(link: Link, submit: Submit) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, link.answer, submit, f"{submit.seq}")
        else:
            link.answer(submit, f"{submit.seq}")

    async def run() -> None:
        async with smsc(answer) as server:
            pipe.send(server.address)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextlib.contextmanager
def serving(delay: float) -> Iterator[str]:
    """Run the SMSC in a process of its own while the block lasts; yield its address."""
    spawn = multiprocessing.get_context("spawn")
    parent_end, child_end = spawn.Pipe()
    process = spawn.Process(target=serve, args=(delay, child_end), daemon=True)
    process.start()
    try:
        yield parent_end.recv()
    finally:
        parent_end.send(None)
        process.join(10)


@contextlib.contextmanager
def whole_batches() -> Iterator[None]:
    """Claim whole batches and write nothing back before they are over."""
    with (
        mock.patch.object(ActiveChannel, "keep_claims_small"),
        mock.patch.object(result_writer, "STORE_EVERY", math.inf),
    ):
        yield


def send(app: Flask, channel_id: int) -> Sent:
    """Send a campaign to everybody over this channel."""
    template = builders.template(channel_id, text=TEXT, purpose="notification")
    mapping: dict[str, Any] = {"name": {"property": "name", "fallback": None}}
    _, run_id = confirmed(clock.now(), channel_id=channel_id, template_id=template.id, mapping=mapping)
    opening.open_run(run_id, clock.now())
    current_session().commit()
    out, over = [0], threading.Event()

    def look() -> None:
        query = sa.select(Tally.n).where(Tally.run_id == run_id, Tally.state == tally_key(Status.IN_FLIGHT))
        with app.app_context():
            while not over.wait(LOOK):
                with db.engine.connect() as connection:
                    out.append(connection.scalar(query) or 0)

    async def story() -> tuple[float, float]:
        holder = held_connections.Holder(app, clock.now)
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            await holder.look(http)
            while not all(connection.adapter.is_connected for connection in holder.held.values()):
                await asyncio.sleep(0.01)
            await holder.look(http)
            begun, cpu = time.perf_counter(), time.process_time()
            await holder.send()
            took = time.perf_counter() - begun, time.process_time() - cpu
            await holder.leave()
            return took

    looking = threading.Thread(target=look)
    looking.start()
    seconds, cpu = asyncio.run(story())
    over.set()
    looking.join()
    accepted = current_session().scalar(
        sa.select(Tally.n).where(Tally.run_id == run_id, Tally.state == tally_key(Status.ACCEPTED))
    )
    planned = current_session().scalar(
        sa.select(sa.func.sum(Tally.n)).where(Tally.run_id == run_id, Tally.state != "excluded")
    )
    if accepted != planned:
        raise RuntimeError(f"{accepted} of {planned} accepted")
    return Sent(seconds, cpu, max(out))


def measure(app: Flask, where: str, window: int, delay: float, pairs: int) -> None:
    """Send in both ways in turn and add the results to the table."""
    with serving(delay) as address:
        values = {setting.name: setting.default for setting in Smpp.settings} | {
            "address": address, "system_id": SYSTEM_ID, "password": PASSWORD, "source": "10690001",
            "window": str(window),
        }  # fmt: skip
        channel_id = accounts.create("smpp", validation.ChannelFields(f"SMSC {delay}", values), BY, clock.now())
        small, large = [], []
        for _ in range(pairs):
            small.append(send(app, channel_id))
            with whole_batches():
                large.append(send(app, channel_id))
        accounts.set_active(channel_id, False, BY, clock.now())
    small_best, large_best = (min(result_list, key=lambda result: result.seconds) for result_list in (small, large))
    cpu = min(result.cpu for result in small) / min(result.cpu for result in large)
    what = f"window {window}, answer {delay * 1000:.0f} ms"
    bound_text = f"{large_best.seconds:.2f} s, whole batches"
    table.add(
        where,
        what,
        f"{small_best.seconds:.2f} s",
        bound_text,
        small_best.seconds / large_best.seconds,
        most=LIMIT,
        unit="x",
    )
    table.add(where, f"{what}, processor", f"{cpu:.2f} x")
    table.add(
        where,
        f"{what}, most out",
        f"{max(result.most_out for result in small)}",
        f"{large_best.most_out}, whole batches",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--delay", type=float, nargs="*", default=[0.0, 0.02])
    parser.add_argument("--database", default="sqlite")
    options = parser.parse_args()
    with stage(options.database, 0, SENDER_SECONDS=600) as product:
        fill(options.rows)
        for delay in options.delay:
            measure(product.app, options.database, options.window, delay, options.pairs)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
