"""An hour of odd input: what tests/fuzz tries some hundred times, tried with new seeds until the time is over.

    python -m bench.fuzz [--minutes 60] [--database both|sqlite|postgresql] [--only uploads]

Each door, `/up` and the callbacks of each provider, gets the same share of the time. The first input of a door that
breaks its rule is printed, shrunk to the smallest that does; then that door rests. Exit code 3 if there was one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tests.fuzz.callbacks import PROVIDERS

AT_ONCE = 400
"""Examples of one run of a test: with more, hypothesis spends its time on choosing them."""
UPLOADS = "uploads"


def _try(door: str, database: str, seed: int) -> subprocess.CompletedProcess[str]:
    name = "test_an_odd_upload" if door == UPLOADS else f"{database}-{door}"
    selection = f"{name} and {database}" if door == UPLOADS else name
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/fuzz",
            "-k",
            selection,
            f"--hypothesis-seed={seed}",
            "-p",
            "no:cacheprovider",
        ],
        env=os.environ | {"FUZZ_EXAMPLES": str(AT_ONCE), "HYPOTHESIS_PROFILE": "search"},
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    """Try every door in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--database", choices=("both", "sqlite", "postgresql"), default="both")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    databases = ("sqlite", "postgresql") if options.database == "both" else (options.database,)
    doors = [
        (door, database)
        for door in (options.only.split(",") if options.only else (UPLOADS, *PROVIDERS))
        for database in databases
    ]
    tried = dict.fromkeys(doors, 0)
    broken: set[tuple[str, str]] = set()
    deadline = time.monotonic() + options.minutes * 60
    seed = int(time.time())
    while time.monotonic() < deadline and len(broken) < len(doors):
        door = min((door for door in doors if door not in broken), key=lambda door: tried[door])
        seed += 1
        outcome = _try(*door, seed)
        tried[door] += AT_ONCE
        if outcome.returncode:
            broken.add(door)
            shown = [line for line in outcome.stdout.splitlines() if line.startswith("E  ")]
            print(
                f"BROKEN {door[0]} on {door[1]} (seed {seed})",
                *(shown or [outcome.stdout[-2000:]]),
                sep="\n",
                flush=True,
            )
    print("| door | database | inputs | |\n|---|---|---:|---|")
    for pair in doors:
        print(f"| {pair[0]} | {pair[1]} | {tried[pair]:,} | {'broken' if pair in broken else 'held'} |")
    return 3 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
