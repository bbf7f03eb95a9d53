"""Every benchmark, one after the other: `python -m bench` in full, `python -m bench --quick` in a few minutes.

Each prints what it measured beside a limit measured in the same run, and the rows are written to docs/performance.md
with the machine and the versions. The absolute numbers depend on the machine and its load; the ratios count. A
benchmark that fails is reported in the table, and the others go on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import page, table
from config import HERE
from tests.journey.processes import family

DATABASES = ("sqlite", "postgresql")
BENCHES: list[tuple[str, list[str], list[str]]] = [
    # module, in full, quick
    *(("bench.campaign", ["--variants", "--database", one], ["--variants", "--database", one, "--rows", "100000",
       "--singles", "10000"]) for one in DATABASES),
    *(("bench.receipts", ["--database", one], ["--database", one, "--receipts", "20000", "--seconds", "3"])
      for one in DATABASES),
    *(("bench.up", ["--database", one], ["--database", one, "--people", "100000", "--seconds", "2",
       "--records", "20000"])
      for one in DATABASES),
    ("bench.kannel", ["--database", "postgresql"], ["--database", "postgresql", "--rows", "5000"]),
    ("bench.reins", [], ["--people", "60000"]),
    ("bench.pace", [], ["--rows", "300"]),
    *(("bench.held", ["--rows", "12000", "--database", one], ["--database", one]) for one in DATABASES),
    ("bench.contacts_import", [], ["--rows", "100000"]),
    ("bench.roads", [], ["--rows", "100000"]),
    ("bench.segment_count", [], ["--rows", "100000"]),
    ("bench.campaign_list", [], ["--rows", "10000"]),
    ("bench.rehearsal", [], ["--rows", "100000"]),
    ("bench.page_cost", [], ["--rows", "2000", "--rounds", "7"]),
    *(("bench.export", ["--database", one], ["--database", one, "--rows", "100000"]) for one in DATABASES),
]  # fmt: skip
LONGEST = 600.0
"""Seconds after which a benchmark is given up."""
TO_LEAVE = 60.0
"""Seconds in which it then has to end its processes."""


@contextlib.contextmanager
def started(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; all its processes end with the block."""
    running = subprocess.Popen(command, env=environ)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(TO_LEAVE)
        if running.poll() is None:
            for pid in family(running.pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            running.wait()


def step(module: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run one benchmark; return why it did not complete, or ""."""
    print(f"\n== {' '.join((module, *arguments))}", flush=True)
    with started([sys.executable, "-m", module, *arguments], environ) as running:
        try:
            code = running.wait(LONGEST)
        except subprocess.TimeoutExpired:
            return f"given up after {LONGEST:.0f} s"
    return "" if code in {0, table.BARS_MISSED} else "failed"


def main() -> int:
    """Run them; return 1 if a bar was missed or one of them did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="with a tenth of the rows")
    parser.add_argument("--only", action="append", metavar="NAME", help="those whose name contains this; repeatable")
    options = parser.parse_args()
    watch = table.Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        collected = Path(folder) / "rows"
        environ = {**os.environ, table.COLLECTED: str(collected)}
        for module, full, quick in BENCHES:
            if options.only and not any(name in module for name in options.only):
                continue
            arguments = quick if options.quick else full
            if trouble := step(module, arguments, environ):
                where = next((database for database in DATABASES if database in arguments), "")
                table.write(table.Row(where, " ".join((module, *arguments)), trouble, "", holds=False), collected)
        rows = [table.Row(**json.loads(line)) for line in page.lines(str(collected))]
    if rows:
        mode = ("quick" if options.quick else "in full") + "".join(f", {name}" for name in options.only or ())
        page.write(rows, mode, watch.seconds())
        print(f"\nwritten to {page.PAGE.relative_to(HERE)} after {watch.seconds() / 60:.1f} min")
    return int(not rows or any(not row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
