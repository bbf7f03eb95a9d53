"""A provider that takes 30 messages in any second and answers 429 to the rest, for each kind that speaks HTTP.

    python -m bench.pace [--rows 600] [--rate 30] [--only KIND ...] [--database sqlite|postgresql]

No rate is set, so the senders have to learn it. Printed is the time of a campaign, from its confirmation to its last
write-back, as a share of the time the rate allows; it may be LIMIT at most. A kind's provider, and its answer when it
accepts everything, come from the kind's contract test.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from aiohttp import web

from bench import table
from bench.stage import confirm, draft, fill, stage
from smsapp.domain.message import Status
from smsapp.store.channels import paces
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally
from tests import builders
from tests.channels.contract import HttpContract

LIMIT, PATIENCE = 1.5, 2.5
PUBLIC_URL = "https://sms.example.com"
"""The callback address of the contracts' providers: some accept no other one."""
NUMBER = re.compile(rb"138\d{8}")
TESTS = Path(__file__).parent.parent / "tests" / "channels"


class Throttling:
    """A provider that takes `rate` messages in any second, and answers 429 to a request that brings more."""

    def __init__(self, contract: HttpContract, rate: int) -> None:
        self.contract, self.rate = contract, rate
        self.taken: deque[tuple[float, int]] = deque()
        self.refused = self.messages = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        messages = len(set(NUMBER.findall(unquote_to_bytes(request.path_qs) + unquote_to_bytes(body))))
        now = time.monotonic()
        while self.taken and self.taken[0][0] <= now - 1:
            self.taken.popleft()
        if sum(n for _, n in self.taken) + messages > self.rate:
            self.refused += 1
            return web.Response(status=429)
        self.taken.append((now, messages))
        self.messages += messages
        return self.contract.accepts(request, body)

    async def _serve(self) -> web.AppRunner:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{rest:.*}", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


@contextmanager
def serving(provider: Throttling) -> Iterator[Throttling]:
    """Run the provider in a thread of this process while the block lasts."""
    loop = asyncio.new_event_loop()
    runner = loop.run_until_complete(provider._serve())
    thread = threading.Thread(target=loop.run_forever, name="provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.run_until_complete(runner.cleanup())
        loop.close()


def contracts() -> dict[str, HttpContract]:
    """Return the contract of each kind that uses HTTP, by the name of its test."""
    contract_by_name: dict[str, HttpContract] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for name, member in vars(importlib.import_module(f"tests.channels.{path.stem}")).items():
            its_own = isinstance(member, type) and member.__module__.endswith(path.stem)
            if its_own and issubclass(member, HttpContract):
                contract_by_name[name.removeprefix("Test")] = member()
    return contract_by_name


def measure(name: str, contract: HttpContract, rows: int, rate: int) -> None:
    """Send a campaign over this kind and add the result to the table."""
    with serving(Throttling(contract, rate)) as provider, tempfile.TemporaryDirectory() as folder:
        adapter = contract.make(provider.url, Path(folder))
        row = builders.channel(
            kind=adapter.kind, name=name, settings=dict(adapter.values), rate=None, quiet_from="00:00",
            quiet_until="00:00", callback_token=f"tok-en-{name}",
        )  # fmt: skip
        campaign, template = draft(row)
        begun = time.monotonic()
        confirm(campaign, template)
        run = _ended(campaign.id, begun + PATIENCE * rows / rate)
        seconds = time.monotonic() - begun
        states = dict(
            current_session().execute(sa.select(Tally.state, Tally.n).where(Tally.run_id == run.id, Tally.n > 0)).all()
        )
        learned_pace = paces.of(current_session(), [row.id]).get(row.id)
    share = seconds / (rows / rate)
    bound_text = f"{provider.refused} refused, learned {learned_pace.limit if learned_pace else 0:.0f}/s"
    table.add(
        "pace", f"{name}, {rows} at {rate}/s", f"{seconds:.1f} s", bound_text, share, most=LIMIT, unit="x the rate"
    )
    if states != {Status.ACCEPTED.name.lower(): rows} or provider.messages != rows:
        table.add("pace", f"{name}, messages taken", str(provider.messages), f"{run.hold_reason} {states}", 0, least=1)


def _ended(campaign_id: int, until: float) -> Run:
    """Return the campaign's run once it is over, or as it is at this moment."""
    while True:
        current_session().commit()
        current_session().expire_all()
        run = current_session().scalar(sa.select(Run).where(Run.campaign_id == campaign_id))
        if run is not None and (run.finished_at is not None or time.monotonic() > until):
            return run
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--database", default="sqlite")
    options = parser.parse_args()
    selection = {name: contract for name, contract in contracts().items() if not options.only or name in options.only}
    with stage(options.database, 2, PUBLIC_URL=PUBLIC_URL):
        fill(options.rows)
        for name, contract in selection.items():
            measure(name, contract, options.rows, options.rate)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
