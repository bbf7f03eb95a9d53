"""What `flask serve` takes when nobody does anything: memory and processor of all its processes, Valkey included.

    python -m bench.idle [--seconds 60] [--demo]

Memory is the proportional set size (PSS): a page that several processes share counts once. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import table
from config import HERE
from tests.journey.processes import family

FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")
MOST_MIB = 350
MOST_CPU = 1.5
"""Per cent of one core."""
SETTLING = 15.0
"""Seconds after the start that do not count."""
EVERY = 1.0
TICKS = os.sysconf("SC_CLK_TCK")


def memory(pids: list[int]) -> Counter[str]:
    """Return the MiB of PSS of these processes by what they are; those that have ended count nothing."""
    sizes: Counter[str] = Counter()
    for pid in pids:
        with contextlib.suppress(OSError, AttributeError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            assert kib is not None
            sizes[f"{pid} {' '.join(words)[-70:]}"] = int(kib[1])
    return Counter({name: size // 1024 for name, size in sizes.items()})


def processor(pids: list[int]) -> dict[int, float]:
    """Return the seconds of processor time of each process and of its children that have ended."""
    seconds = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds[pid] = sum(map(int, fields[11:15])) / TICKS
    return seconds


@contextlib.contextmanager
def serving(
    folder: Path, settings: Mapping[str, str] | None = None, *, demo: bool = False
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `flask serve` on a new instance in this folder while the block lasts; yield it with its address.

    `demo`: with the data of `flask demo`.
    """
    environ = {**os.environ, "INSTANCE_DIR": str(folder), "PORT": "0", **(settings or {})}
    for command in (("db", "upgrade"), *((("demo",),) if demo else ())):
        subprocess.run([*FLASK, *command], cwd=HERE, env=environ, check=True, capture_output=True)
    server = subprocess.Popen([*FLASK, "serve"], cwd=HERE, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = ""
        for line in server.stdout:
            address = address or "".join(re.findall(r"Open (http://\S+)", line))
            if "Ctrl-C" in line:
                break
        if not address:
            raise RuntimeError("flask serve did not come up")
        yield server, address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long it is watched")
    parser.add_argument("--demo", action="store_true", help="with the data that `make run` begins with")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="smsidle-") as name,
        serving(Path(name), demo=options.demo) as (server, _address),
    ):
        time.sleep(SETTLING)
        before, begun = processor(family(server.pid)), time.monotonic()
        samples = []
        while time.monotonic() < begun + options.seconds:
            time.sleep(EVERY)
            samples.append(memory(family(server.pid)))
        after, seconds = processor(list(before)), time.monotonic() - begun
    each = {pid: after[pid] - before[pid] for pid in after}
    spent = sum(each.values())
    for what, mib in samples[-1].most_common():
        print(f"  {mib:4d} MiB {each.get(int(what.split()[0]), 0.0):6.2f} s  {what}")
    totals = [sample.total() for sample in samples]
    middle = statistics.median(totals)
    table.add("sqlite", "idle memory, all processes", f"{middle:.0f} MiB", f"peak {max(totals)} MiB", middle,
              most=MOST_MIB, unit="MiB")  # fmt: skip
    share = 100 * spent / seconds
    table.add("sqlite", "idle processor time", f"{spent:.2f} s", f"in {seconds:.0f} s", share, most=MOST_CPU,
              unit="% of a core")  # fmt: skip
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
