"""How fast endpoints of Amazon Pinpoint come in, against a CSV file of the same people.

    python bench/roads.py                  a million endpoints on SQLite, JSON lines packed by gzip and CSV
    python bench/roads.py --rows 200000

Both are imported in turn, each in a process of its own, and the best of some rounds counts, because the machine is
shared. The rate of the CSV file is that of an import without any translation (bench/contacts_import.py).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import table
from bench.contacts_import import CITIES, import_file

LEAST_RATIO = 0.5
HEADER = ("user_id", "phone", "Interests", "Make", "Platform", "City", "Country", "points", "name", "level")
PINPOINT_HEADER = (
    *("User.UserId", "Address", "Attributes.Interests", "Demographic.Make", "Demographic.Platform", "Location.City"),
    *("Location.Country", "Metrics.points", "User.UserAttributes.name", "User.UserAttributes.level", "ChannelType"),
    *("OptOut", "EndpointStatus", "EffectiveDate", "Id"),
)


def person(i: int) -> tuple[Any, ...]:
    return (
        *(f"u{i:08d}", f"+8613{i:09d}", ["Music", "Travel"][i % 2], "apple", "ios", CITIES[i % 8], "CN"),
        *(i * 7919 % 1000, f"用户{i}", str(i % 9)),
    )


def endpoint(i: int) -> dict[str, Any]:
    """Return an endpoint as an export holds it, with every attribute of the documented example."""
    user_id, number, interest, make, platform, city, country, points, name, level = person(i)
    return {
        "Address": number,
        "ApplicationId": "810c7aab86d42fb2b56c8c966example",
        "Attributes": {"Interests": [interest]},
        "ChannelType": "SMS",
        "CohortId": str(i % 100),
        "CreationDate": "2018-05-01T17:31:01.046Z",
        "Demographic": {"Make": make, "Platform": platform},
        "EffectiveDate": "2018-05-07T19:03:29.963Z",
        "EndpointStatus": "ACTIVE",
        "Id": f"example_endpoint_{i}",
        "Location": {"City": city, "Country": country},
        "Metrics": {"points": float(points)},
        "OptOut": "NONE",
        "RequestId": "7f546cac-6858-11e8-adcd-2b5a07aab338",
        "User": {"UserAttributes": {"name": [name], "level": [level]}, "UserId": user_id},
    }


def write_files(folder: Path, rows: int) -> dict[str, Path]:
    """Write the same people as a CSV file, and as endpoints."""
    paths = {"csv": folder / "people.csv", "json": folder / "export.json.gz", "endpoints": folder / "endpoints.csv"}
    marks = ("SMS", "NONE", "ACTIVE", "2018-05-07T19:03:29.963Z")
    with paths["csv"].open("w", newline="") as plain, paths["endpoints"].open("w", newline="") as listed:
        people, endpoints = csv.writer(plain), csv.writer(listed)
        people.writerow(HEADER)
        endpoints.writerow(PINPOINT_HEADER)
        with gzip.open(paths["json"], "wt", compresslevel=1, encoding="utf-8") as packed:
            for i in range(rows):
                people.writerow(person(i))
                endpoints.writerow((*person(i), *marks, f"example_endpoint_{i}"))
                packed.write(json.dumps(endpoint(i), separators=(",", ":")) + "\n")
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_files(folder, options.rows)
        seconds: dict[str, list[float]] = {kind: [] for kind in paths}
        memory = dict.fromkeys(paths, 0.0)
        for number in range(options.rounds):
            for kind, path in paths.items():
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
                    importing = own.submit(import_file, folder / f"{kind}{number}", path, "")
                    taken, outcome, held = importing.result()
                assert outcome == ("done", options.rows, options.rows, 0), outcome
                seconds[kind].append(taken)
                memory[kind] = max(memory[kind], held)
        plain = options.rows / min(seconds["csv"])
        for kind in ("json", "endpoints"):
            rate = options.rows / min(seconds[kind])
            what = f"Pinpoint, {options.rows:,} {'JSON lines, gzip' if kind == 'json' else 'rows of CSV'}"
            table.add("sqlite", what, f"{rate:,.0f}/s", f"CSV {plain:,.0f}/s", rate / plain, least=LEAST_RATIO)
            table.add("sqlite", "memory of translation and import", f"{memory[kind]:.0f} MiB")
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
