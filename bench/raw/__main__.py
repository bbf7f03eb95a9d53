"""Print every lower bound on this machine.

.venv/bin/python -m bench.raw --url sqlite:////tmp/raw.db --rows 1000000 --per-request 100
.venv/bin/python -m bench.raw --url postgresql://user@/scratch?host=/tmp/socket --rows 200000
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.raw import Bound, ledger, text, wire
from bench.raw.ground import Ground


@contextmanager
def sink_process(delay_ms: float = 0.0, *, refs: bool = False) -> Iterator[int]:
    """Run the sink in a process of its own, so that it has a core of its own; yield its port; `refs`: count them."""
    command = [sys.executable, "-m", "bench.sink", "--port", "0", "--delay-ms", str(delay_ms), *["--refs"] * refs]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split(",")[0].rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait(10)


def campaign(ground: Ground, rows: int, per_request: int, in_flight: int, delay_ms: float = 0.0) -> list[Bound]:
    """Return the bounds of a campaign's steps, from the frozen audience to the last write-back, in their order."""
    ground.make(rows)
    freeze_bound = ledger.freeze(ground, rows)
    ground.settle()
    claim_bound, batches = ledger.claim(ground, rows)
    render_bound, bodies = text.render(batches, per_request)
    batches.clear()
    with sink_process(delay_ms) as port:
        send_bound = wire.send(bodies, rows, port, in_flight)
    return [freeze_bound, claim_bound, render_bound, send_bound, ledger.write_back(ground, rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="a scratch database; its raw_* tables are made and dropped")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--per-request", type=int, default=100)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    options = parser.parse_args()
    ground = Ground(options.url)
    try:
        steps = campaign(ground, options.rows, options.per_request, options.in_flight, options.delay_ms)
        for step in steps:
            print(step)
        print(Bound("sum", options.rows, sum(step.seconds for step in steps)))
        ground.settle()
        print(ledger.receipts(ground, options.rows))
    finally:
        ground.drop()
        ground.close()


if __name__ == "__main__":
    main()
