"""Recognition of uploads in a process of its own with limits: a malicious file can fail only its own upload.

    python -m smsapp.services.tables.limited FILE '{"target": "...", "unfold": true}'

prints the format, the first rows and the marks of rows as JSON, or the problem.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from config import HERE
from smsapp.domain import csv_text
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.other_systems import System
from smsapp.services.tables import reading, recognition, translating
from smsapp.services.tables.formats import CSV, XLSX, Format

CPU_SECONDS, MEMORY, FILE_SIZE = 60, 2 << 30, 2 << 30
"""Limits of the process: CPU seconds, bytes, bytes of a file that it writes.

An ordinary workbook of a million rows stays well below them.
"""
PATIENCE = 180
"""The timeout of the process in seconds; the machine may be busy."""
MOST_BYTES = 32 << 20
"""Of a file that is read while a person waits."""

Sample = list[list[str]]


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a file."""

    target: str = ""
    """Where a table is written that the file itself is not, "" for nowhere."""
    unfold: bool = False
    """Whether a workbook becomes such a table as well."""
    translate: bool = False
    """Whether a file of another system does."""
    system: str = ""
    """Which system's it is, as a person says."""
    region: str = "CN"


@dataclass(frozen=True)
class Recognised:
    """A file's format and first rows, and the marks of its rows, packed, if it was another system's."""

    form: Format
    rows: Sample
    marks: bytes = b""


PLAIN = Wanted()


def recognise(path: Path, wanted: Wanted = PLAIN) -> Recognised:
    """Recognise a file; raise Refusal if it is no table, or too expensive.

    With a target the format is that of the table written there, if one was.
    """
    command = [sys.executable, "-m", __name__, str(path), json.dumps(asdict(wanted))]
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
    return Recognised(Format.from_json(answer["format"]), answer["rows"], base64.b64decode(answer["marks"]))


@contextmanager
def table(path: Path) -> Iterator[tuple[Path, Format]]:
    """Yield an uploaded table as a CSV file with its format: a workbook is converted; raise Refusal."""
    with tempfile.TemporaryDirectory() as folder:
        unfolded = Path(folder) / "table.csv"
        recognised = recognise(path, Wanted(str(unfolded), unfold=True))
        yield (unfolded if unfolded.exists() else path), recognised.form


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


def main(path: Path, wanted: Wanted) -> dict[str, Any]:
    """Return the answer for the waiting process."""
    target = Path(wanted.target)
    marks = b""
    try:
        if wanted.translate:
            system = System(wanted.system) if wanted.system else None
            translated = translating.translate(path, target, system, wanted.region)
            form, marks = translated.form, zlib.compress(translated.marks) if translated.marks else b""
            path = target if target.exists() else path
        elif wanted.unfold and (listed := translating.unfold_ids(path, target)):
            form, path = listed, target
        else:
            form = recognition.recognise(path)
        rows = reading.sample(path, form)
        if wanted.unfold and form.kind == XLSX:
            form = _unfold(path, form, target)
    except Refusal as refusal:
        problem = refusal.problems[0]
        return {"problem": problem.code, "facts": dict(problem.facts)}
    return {"format": form.as_json(), "rows": rows, "marks": base64.b64encode(marks).decode()}


def _unfold(path: Path, form: Format, unfolded: Path) -> Format:
    with unfolded.open("w", encoding="utf-8", newline="") as file:
        for rows, _read in reading.chunks(path, replace(form, heading_row=0), 0, 1000):
            file.write(csv_text.lines(rows))
    return Format(CSV, "utf-8", ",", form.heading_row)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    gc.disable()  # Millions of values and no cycles: the collector would take a third of the time.
    try:
        sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Wanted(**json.loads(sys.argv[2])))))
    except MemoryError:
        sys.exit(1)
