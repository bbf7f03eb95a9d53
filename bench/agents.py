"""Agents that call the tools of `flask mcp` with everything: no message leaves, and no whole number comes back.

    python -m bench.agents --calls 100000

The calls are made by hypothesis from the tools' own schemas, fitting and not, with orders and phone numbers in their
texts, and go through the SDK's client in memory to a server over SQLite. The key may do and see everything. Exit code 3
if a message, run, proof or confirmation came of them, an adapter was called, or a planted number was in an answer.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench import table
from smsapp.factory import create_app
from smsapp.services.platform import clock
from smsapp.services.sending import sender, sweeping
from tests import servers
from tests.agents import HARMLESS, Reply, Watch, World, calls, connected, whole_numbers
from tests.conftest import migrate
from tests.conftest import settings as app_settings
from tests.fakes import FakeClock

IN_EXAMPLE, EXAMPLES = 25, 40
"""Calls of an example, and examples of a run: with many more hypothesis spends its time on choosing them."""


class Tally:
    """What was called, and what came of it."""

    def __init__(self) -> None:
        self.calls = 0
        self.tools: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.shown: list[str] = []

    def add(self, name: str, reply: Reply) -> None:
        self.calls += 1
        self.tools[name] += 1
        self.codes[reply.document["code"] if reply.is_error else "answered"] += 1
        if whole_numbers(reply.text):
            self.shown.append(f"{name}: {reply.text[:300]}")


def run(world: World, call: Any, tally: Tally, wanted: int) -> None:
    """Make so many calls."""
    seed = 0
    while tally.calls < wanted:
        seed += 1

        @hypothesis.seed(seed)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(calls(world), min_size=IN_EXAMPLE, max_size=IN_EXAMPLE))
        def some(batch: list[tuple[str, dict[str, Any]]]) -> None:
            for name, arguments in batch:
                if tally.calls < wanted:
                    tally.add(name, call(name, arguments))

        some()
        if seed % 10 == 0:
            print(f"{tally.calls:,} calls", file=sys.stderr, flush=True)


def main() -> int:
    """Call, look, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    wanted = parser.parse_args().calls
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name, servers.valkey(Path(name), "v") as address:
        config = app_settings(Path(name), REDIS_URL=address)
        migrate(config)
        app = create_app(config)
        tally, watch = Tally(), Watch()
        with app.app_context():
            world = World(app)
            begun = time.perf_counter()
            with watch.on(), connected(world.agents) as call:
                run(world, call, tally, wanted)
                seconds = time.perf_counter() - begun
                after = world.ledger()
                # Whatever was left behind for the workers, they find nothing to send.
                sweeping.sweep(clock.now())
                sender.send(app, FakeClock(clock.now()))
                swept = world.ledger()
    print(f"tools: {dict(tally.tools.most_common())}")
    print(f"outcomes: {dict(tally.codes.most_common())}")
    print(f"tasks: {dict(watch.tasks)}; ledger before {world.counts}, after {after}, after the workers {swept}")
    for line in tally.shown[:5]:
        print(f"WHOLE NUMBER {line}")
    new = sum(swept.values()) - sum(world.counts.values())
    sending = sum(n for task, n in watch.tasks.items() if task not in HARMLESS)
    table.add("agents", "calls a second", f"{tally.calls:,} calls", f"{seconds:.0f} s", tally.calls / seconds)
    table.add("agents", "messages, runs, proofs, confirmations", str(new), "", new, most=0)
    table.add("agents", "sending tasks and calls of adapters", str(sending), "", sending, most=0)
    table.add("agents", "answers with a whole number", str(len(tally.shown)), "", len(tally.shown), most=0)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
