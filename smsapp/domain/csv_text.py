"""The cells of CSV files: escaped so that spreadsheet programs show them unchanged, and unescaped when read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from smsapp.domain.invisible import INVISIBLE

MARK = "\ufeff"
"""Starts the file; without it Excel reads UTF-8 as the local code page."""
PIECE = 1 << 15
"""Characters after which a stream yields a piece."""

_RUN = rf"[\s{INVISIBLE}]*[=+\-@＝＋－＠]|[\t\r\n]"
"""The beginning of what a spreadsheet program may evaluate, also after spaces and invisible characters."""
_FORMULA = re.compile(rf"'*(?:{_RUN})")
_PROTECTED = re.compile(rf"''*(?:{_RUN})")
_HARMLESS = re.compile(rf"[^\s{INVISIBLE}=+\-@＝＋－＠']").match
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"})
_UNUSUAL = re.compile(rf"""=\"|#[NRVDSC]|'(?:{_RUN}|')""")


def safe(cell: object) -> object:
    """Return a cell that no spreadsheet evaluates: an apostrophe is put before the beginning of a formula.

    `plain` removes it again. A cell that begins with apostrophes and a formula gets one more.
    """
    if not isinstance(cell, str) or _HARMLESS(cell) or _FORMULA.match(cell) is None:
        return cell
    return f"'{cell}"


def is_unusual(text: str) -> bool:
    """Return whether `plain` may change a cell of this text (a part of a file): a fast check before the slow one."""
    return ("=" in text or "#" in text or "'" in text) and _UNUSUAL.search(text) is not None


def plain(cell: str) -> str:
    """Return the value of a cell of a CSV file.

    ="0138" is the text 0138, an error like #N/A is "", and the apostrophe that `safe` added is removed.
    """
    start = cell[:1]
    if start == "'" and _PROTECTED.match(cell):
        return cell[1:]
    if '="' in cell and (formula := _TEXT_FORMULA.fullmatch(cell.strip())):
        return formula[1].replace('""', '"')
    return "" if start == "#" and cell.strip() in _ERRORS else cell


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Return these rows as CSV text with Windows line ends, every cell made safe."""
    text = io.StringIO()
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def stream(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file of these rows in pieces, with its MARK, every cell made safe."""
    yield MARK
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        if text.tell() > PIECE:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()
