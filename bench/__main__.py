"""Every benchmark, one after the other: `python -m bench` in full, `python -m bench --quick` in a few minutes.

Each prints what it measured beside a limit measured in the same run. What one of them prints depends on the machine and
on what else it does; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

BENCHES: dict[str, list[str]] = {
    # module: what makes it quick
    "bench.contacts_import": ["--rows", "100000"],
    "bench.segment_count": ["--rows", "100000"],
    "bench.campaign_list": ["--rows", "10000"],
    "bench.export": ["--rows", "50000"],
}


def main() -> int:
    """Run them; return how many missed a bar of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="with a tenth of the rows")
    given = parser.parse_args()
    missed = 0
    for module, quick in BENCHES.items():
        print(f"\n== {module}", flush=True)
        command = [sys.executable, "-m", module, *(quick if given.quick else [])]
        missed += subprocess.run(command, check=False).returncode != 0
    return missed


if __name__ == "__main__":
    sys.exit(main())
