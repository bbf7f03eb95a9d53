"""What it costs that little is claimed for a held connection, so that little is unconfirmed after a kill.

    python -m bench.held [--rows 4000] [--pairs 3] [--window 10] [--delay 0 0.02] [--database sqlite|postgresql]

The same campaign leaves over the same SMSC with small claims and early write-backs, and with whole batches and none, in
turn. What is printed is the quickest of each, and the most messages that were claimed and not written at any moment,
which is what a kill leaves unconfirmed. Small claims may not take more than LIMIT of the time of whole batches.
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
from smsapp.services.channels import channels
from smsapp.services.platform import clock
from smsapp.services.sending import held_connections, lifecycle, result_writer
from smsapp.services.sending.run_registry import ActiveChannel
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Tally
from smsapp.store.runs.tallies import tally_key
from smsapp.store.settings import settings
from tests import builders
from tests.channels.smsc import PASSWORD, SYSTEM_ID, Link, Submit, smsc
from tests.engine import confirmed

LIMIT = 1.05
LOOK = 0.02
"""Seconds between looks at what is out."""


@dataclass
class Sent:
    """What one campaign took: seconds on the clock and of the processor, and the most messages that were out."""

    seconds: float
    cpu: float
    most_out: int


def serve(delay: float, told: Connection) -> None:
    """Be an SMSC that answers after this delay; tell its address, and go on until something is told back."""

    def answer(link: Link, submit: Submit) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, link.answer, submit, f"{submit.seq}")
        else:
            link.answer(submit, f"{submit.seq}")

    async def run() -> None:
        async with smsc(answer) as server:
            told.send(server.address)
            await asyncio.to_thread(told.recv)

    asyncio.run(run())


@contextlib.contextmanager
def serving(delay: float) -> Iterator[str]:
    """Run the SMSC in a process of its own while the block lasts; yield its address."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=serve, args=(delay, its), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(10)


@contextlib.contextmanager
def whole_batches() -> Iterator[None]:
    """Claim whole batches and write nothing back before they are done."""
    with (
        mock.patch.object(ActiveChannel, "keep_claims_small"),
        mock.patch.object(result_writer, "WRITE_EVERY", math.inf),
    ):
        yield


def send(app: Flask, channel_id: int) -> Sent:
    """Send a campaign to everybody over this channel."""
    template = builders.template(channel_id, text=TEXT, purpose="notification")
    mapping: dict[str, Any] = {"name": {"property": "name", "fallback": None}}
    _, run_id = confirmed(clock.now(), channel_id=channel_id, template_id=template.id, mapping=mapping)
    lifecycle.open_run(run_id, clock.now())
    current_session().commit()
    out, over = [0], threading.Event()

    def look() -> None:
        in_flight = sa.select(Tally.n).where(Tally.run_id == run_id, Tally.state == tally_key(Status.IN_FLIGHT))
        with app.app_context():
            while not over.wait(LOOK):
                with db.engine.connect() as connection:
                    out.append(connection.scalar(in_flight) or 0)

    async def story() -> tuple[float, float]:
        holder = held_connections.Holder(app, clock.now)
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            await holder.look(http)
            while not all(held.adapter.is_connected for held in holder.held.values()):
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
    """Send in both ways in turn and write down what it took."""
    with serving(delay) as address:
        values = {one.name: one.default for one in Smpp.settings} | {
            "address": address, "system_id": SYSTEM_ID, "password": PASSWORD, "source": "10690001",
            "window": str(window),
        }  # fmt: skip
        channel_id = channels.create("smpp", channels.Wanted(f"SMSC {delay}", values), BY, clock.now())
        small, whole = [], []
        for _ in range(pairs):
            small.append(send(app, channel_id))
            with whole_batches():
                whole.append(send(app, channel_id))
        channels.set_active(channel_id, False, BY, clock.now())
    ours, bound = (min(some, key=lambda sent: sent.seconds) for some in (small, whole))
    cpu = min(sent.cpu for sent in small) / min(sent.cpu for sent in whole)
    what = f"window {window}, answer {delay * 1000:.0f} ms"
    seen = f"{bound.seconds:.2f} s, whole batches"
    table.add(where, what, f"{ours.seconds:.2f} s", seen, ours.seconds / bound.seconds, most=LIMIT, unit="x")
    table.add(where, f"{what}, processor", f"{cpu:.2f} x")
    table.add(where, f"{what}, most out", f"{max(sent.most_out for sent in small)}", f"{bound.most_out}, whole batches")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--delay", type=float, nargs="*", default=[0.0, 0.02])
    parser.add_argument("--database", default="sqlite")
    given = parser.parse_args()
    with stage(given.database, 0, SENDER_SECONDS=600) as here:
        fill(given.rows)
        for delay in given.delay:
            measure(here.app, given.database, given.window, delay, given.pairs)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
