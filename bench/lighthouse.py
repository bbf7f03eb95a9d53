"""Lighthouse over the pages before the button, with 100,000 campaigns and an audience of a million behind them.

    python -m bench.lighthouse [--rows 100000] [--people 1000000] [--database sqlite]

Needs chromium and npx, which brings Lighthouse in a pinned version. Desktop and mobile, each page signed in; the bar is
95 of 100 for performance, accessibility and best practices.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import page_cost, table
from bench.page_cost import EFFECT, FORM, LIST, Served

LIGHTHOUSE = "lighthouse@13.5.0"
CATEGORIES = ("performance", "accessibility", "best-practices")
LEAST = 95
"""Points of 100."""
FORMS = ("desktop", "mobile")
REVIEW = "/campaigns/{draft}/review"
PAGES = (
    ("/", "home with the calendar"),
    (LIST, "list"),
    (FORM, "form"),
    (REVIEW, "review"),
    (EFFECT, "effect"),
)
CHROMIUM = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


def look(server: Served, address: str, form: str, folder: Path) -> dict[str, Any]:
    """Return Lighthouse's report of one page."""
    url = f"http://127.0.0.1:{server.port}{address.format(**server.places)}"
    report = folder / "report.json"
    headers = folder / "headers.json"
    headers.write_text(json.dumps({"Cookie": server.cookie, "Accept-Language": "zh-CN"}))
    command = ["npx", "--yes", LIGHTHOUSE, url, "--quiet", f"--only-categories={','.join(CATEGORIES)}"]
    command += ["--output=json", f"--output-path={report}", f"--extra-headers={headers}", f"--chrome-flags={CHROMIUM}"]
    command += ["--preset=desktop"] if form == "desktop" else []
    environ = os.environ | {"CHROME_PATH": shutil.which("chromium") or ""}
    subprocess.run(command, check=True, env=environ, cwd=folder, stdout=subprocess.DEVNULL, timeout=300)
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def faults(report: dict[str, Any], category: str) -> list[str]:
    """Return the ids of the audits that cost points in a category, the heaviest first."""
    audits = [ref for ref in report["categories"][category]["auditRefs"] if ref.get("weight")]
    lost = {
        ref["id"]: ref["weight"] * (1 - (report["audits"][ref["id"]]["score"] or 0))
        for ref in audits
        if report["audits"][ref["id"]]["scoreDisplayMode"] != "notApplicable"
    }
    return sorted((name for name, weight in lost.items() if weight > 0.01), key=lambda name: -lost[name])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with page_cost.served(options.database, options.rows, folder / "served", options.people) as server:
            for address, text in PAGES:
                for form in FORMS:
                    report = look(server, address, form, folder)
                    for category in CATEGORIES:
                        points = 100 * (report["categories"][category]["score"] or 0)
                        lost = ", ".join(faults(report, category)[:3])
                        table.add(form, f"{text}: {category}", f"{points:.0f}", lost, points, least=LEAST)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
