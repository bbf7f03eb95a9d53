"""Recognition of uploads in a process of its own with limits: a malicious file can fail only its own upload.

    python -m smsapp.services.tables.limited FILE [CSV]

prints the format and the first rows as JSON, or the problem. With CSV a workbook is written to that path as CSV.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from config import HERE
from smsapp.domain import csv_text
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.tables import reading, recognition
from smsapp.services.tables.formats import CSV, XLSX, Format

CPU_SECONDS, MEMORY = 60, 2 << 30
"""Limits of the process (CPU seconds, bytes); an ordinary workbook of a million rows stays well below them."""
PATIENCE = 180
"""The timeout of the process in seconds; the machine may be busy."""
MOST_BYTES = 32 << 20
"""Of a file that is read while a person waits."""

Sample = list[list[str]]


def recognise(path: Path, unfolded: Path | None = None) -> tuple[Format, Sample]:
    """Return the format and the first rows of a file; raise Refusal if it is no table, or too expensive.

    With `unfolded` a workbook is written there as CSV, and the format is that of the CSV file.
    """
    command = [sys.executable, "-m", __name__, str(path), *([str(unfolded)] if unfolded else [])]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONUTF8": "1"}
    try:
        process = subprocess.run(  # noqa: S603 our own module, with paths we made
            command, cwd=HERE, env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
        answer: dict[str, Any] = json.loads(process.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise Refusal(Problem("file_too_expensive", "file")) from None
    if "problem" in answer:
        raise Refusal(Problem(answer["problem"], "file", answer["facts"]))
    return Format.from_json(answer["format"]), answer["rows"]


@contextmanager
def table(path: Path) -> Iterator[tuple[Path, Format]]:
    """Yield an uploaded table as a CSV file with its format: a workbook is converted; raise Refusal."""
    with tempfile.TemporaryDirectory() as folder:
        unfolded = Path(folder) / "table.csv"
        form, _rows = recognise(path, unfolded)
        yield (unfolded if unfolded.exists() else path), form


@contextmanager
def small_table(content: bytes) -> Iterator[tuple[Path, Format]]:
    """As `table`, for a content in memory of at most MOST_BYTES."""
    refuse_large(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        with table(path) as opened:
            yield opened


def refuse_large(content: bytes) -> None:
    """Raise Refusal for a file that is empty or larger than MOST_BYTES."""
    if len(content) > MOST_BYTES:
        raise Refusal(Problem("sheet_too_large", "file", {"most": MOST_BYTES >> 20}))
    if not content.strip():
        raise Refusal(Problem("file_empty", "file"))


def main(path: Path, unfolded: Path | None) -> dict[str, Any]:
    """Return the answer for the waiting process."""
    try:
        form = recognition.recognise(path)
        rows = reading.sample(path, form)
        if unfolded and form.kind == XLSX:
            form = _unfold(path, form, unfolded)
    except Refusal as refusal:
        problem = refusal.problems[0]
        return {"problem": problem.code, "facts": dict(problem.facts)}
    return {"format": form.as_json(), "rows": rows}


def _unfold(path: Path, form: Format, unfolded: Path) -> Format:
    with unfolded.open("w", encoding="utf-8", newline="") as file:
        for rows, _read in reading.chunks(path, replace(form, heading_row=0), 0, 1000):
            file.write(csv_text.lines(rows))
    return Format(CSV, "utf-8", ",", form.heading_row)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    source, *target = map(Path, sys.argv[1:])
    try:
        sys.stdout.write(json.dumps(main(source, target[0] if target else None)))
    except MemoryError:
        sys.exit(1)
