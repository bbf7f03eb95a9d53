"""A whole campaign, from the confirmation to the last write-back, beside the sum of its raw bounds in the same run.

    python -m bench.campaign [--rows 1000000] [--database sqlite|postgresql] [--workers 2] [--variants]

The campaign takes the same path as in production: confirmation, a job in Valkey, RQ workers in processes of their own,
a freeze, senders, HTTP requests to a sink in a process of its own. The bounds are measured before and after it on the
same server. With --variants also: a sink that answers after 50 ms, and one message per request beside the same HTTP
client alone.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

from bench import bare, table
from bench.raw import Bound
from bench.raw.__main__ import campaign as raw_campaign
from bench.raw.ground import Ground
from bench.stage import Stage, await_end, confirm, draft, fill, sink_process, stage
from smsapp.domain.funnel import broken_identities
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Run
from tests import builders

PER_REQUEST, IN_FLIGHT = 100, 50
LANE = {"freeze": "freeze", "claim and read": "claim", "render and encode": "render", "write back": "write"}
"""Step of the bounds -> the stopwatch's word in bench/worker.py."""
MOST_RATIO, MOST_MIB, SLOW_SHARE, SINGLE_SHARE = 1.5, 300, 0.60, 0.70


def send(product: Stage, rows: int, port: int, per_request: int = PER_REQUEST, **options: Any) -> float:
    """Send one campaign and return its seconds from the confirmation to the last write-back."""
    settings = {"url": f"http://127.0.0.1:{port}/", "per_request": str(per_request), "max_concurrency": str(IN_FLIGHT)}
    channel = builders.channel(kind="sink", settings=settings | {name: str(value) for name, value in options.items()})
    campaign, template = draft(channel)
    watch = table.Stopwatch()
    confirm(campaign, template)
    run = await_end(campaign.id)
    seconds = watch.seconds()
    check(run, rows)
    return seconds


def check(run: Run, rows: int) -> None:
    """Raise unless everybody was written to and the numbers add up."""
    funnel = funnels.run_funnels(current_session(), [run.id])[run.id]
    if broken_identities(funnel) or funnel.accepted != rows:
        raise RuntimeError(f"{funnel.accepted} of {rows} accepted")


def bounds(product: Stage, rows: int) -> list[Bound]:
    """Measure every step's lower bound on the same server."""
    ground = Ground(product.raw_url)
    try:
        return raw_campaign(ground, rows, PER_REQUEST, IN_FLIGHT)
    finally:
        ground.drop()
        ground.close()


def middle(first: list[Bound], second: list[Bound]) -> list[Bound]:
    return [Bound(a.step, a.rows, (a.seconds + b.seconds) / 2) for a, b in zip(first, second, strict=True)]


def whole(product: Stage, rows: int, database: str) -> float:
    """Measure the campaign between two measurements of its bounds; return its messages per second."""
    before = bounds(product, rows)
    with sink_process() as port:
        seconds = send(product, rows, port)
    senders = product.senders()
    raw = middle(before, bounds(product, rows))
    took: Counter[str] = Counter()
    burnt: Counter[str] = Counter()
    for sender in senders:
        took.update(sender["wall"])
        burnt.update(sender["cpu"])
    burnt["wire"] = burnt["loop"] - burnt["render"]
    print(f"{'step':<22}{'bound s':>9}{'ours s':>9}{'ratio':>7}{'cpu s':>8}")
    for bound in raw:
        word = LANE.get(bound.step, "wire")
        sender_seconds = took.get(word, burnt[word])
        ratio = sender_seconds / bound.seconds
        print(f"{bound.step:<22}{bound.seconds:>9.2f}{sender_seconds:>9.2f}{ratio:>7.2f}{burnt[word]:>8.2f}")
    total = sum(bound.seconds for bound in raw)
    print(f"{'together':<22}{total:>9.2f}{seconds:>9.2f}{seconds / total:>7.2f}   (steps overlap)")
    peak = max(sender["peak_mib"] for sender in senders)
    what = f"campaign of {rows:,}, {PER_REQUEST} per request"
    table.add(database, what, f"{seconds:.1f} s", f"sum of bounds {total:.1f} s", seconds / total, most=MOST_RATIO)
    table.add(database, "messages per second", f"{rows / seconds:,.0f}", f"{rows / total:,.0f}")
    table.add(database, "memory of a worker", f"{peak:.0f} MiB", "", peak, most=MOST_MIB, unit="MiB")
    return rows / seconds


def variants(product: Stage, rows: int, database: str, rate: float) -> None:
    """Measure a slow provider, and one message per request."""
    with sink_process(50) as port:
        slow = rows / send(product, rows, port)
    share = slow / rate
    table.add(
        database, "provider answers after 50 ms", f"{slow:,.0f}/s", f"without delay {rate:,.0f}/s", share,
        least=SLOW_SHARE,
    )  # fmt: skip
    product.senders()


def singles(product: Stage, rows: int, database: str) -> None:
    """Send one message per request, beside the HTTP client alone and beside bare asyncio streams."""
    with sink_process() as port:
        client, raw = bare.client(rows, port, IN_FLIGHT), bare.streams(rows, port, IN_FLIGHT)
        single = rows / send(product, rows, port, per_request=1)
        client = (client + bare.client(rows, port, IN_FLIGHT)) / 2
    product.senders()
    share = single / client
    table.add(
        database, "one message per request", f"{single:,.0f}/s", f"HTTP client alone {client:,.0f}/s", share,
        least=SINGLE_SHARE,
    )  # fmt: skip
    table.add(database, "the same beside asyncio streams", f"{single:,.0f}/s", f"{raw:,.0f}/s", single / raw)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--singles", type=int, default=50_000, help="messages of the run with one per request")
    options = parser.parse_args()
    with stage(options.database, options.workers) as product:
        fill(options.rows)
        rate = whole(product, options.rows, options.database)
        if options.variants:
            variants(product, options.rows, options.database, rate)
    if options.variants:
        with stage(options.database, options.workers) as product:
            fill(options.singles)
            singles(product, options.singles, options.database)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
