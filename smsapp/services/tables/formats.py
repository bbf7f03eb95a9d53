"""The format of a table: as recognised, and as a person changed it."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from smsapp.domain.errors import Problem, Refusal

CSV, XLSX = "csv", "xlsx"
DELIMITERS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be", "cp1252", "shift_jis", "euc_kr")
"""The encodings that may be chosen. A byte-order mark is skipped in all of them."""
MOST_COLUMNS = 301
"""As many properties as a contact may have, and its id."""
MOST_HEADING_ROW = 20
"""The headings are in one of the first so many rows."""


@dataclass(frozen=True)
class Format:
    """How to read a file."""

    kind: str
    """CSV or XLSX"""
    encoding: str = ""
    """CSV only, as Python names it"""
    delimiter: str = ""
    """CSV only"""
    heading_row: int = 0
    """The number, from 1, of the row with the headings; rows above it are left out. 0: there are none."""
    formulas: bool = False
    """XLSX only: there are cells with formulas, which may have no stored result."""
    system: str = ""
    """domain/other_systems.py System of which the file is; "" for an ordinary table"""
    first_row: int = 0
    """The number that people see of the first row below the headings, where it is not that after the headings."""
    region: str = ""
    """Whose national numbers the file holds; "": those of this installation's country"""

    @property
    def is_translated(self) -> bool:
        """Whether the rows of another system's file became this table, which can be read in one way only."""
        return self.first_row > 0

    @property
    def header(self) -> bool:
        return self.heading_row > 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Format:
        return cls(**values)


@dataclass(frozen=True)
class Choice:
    """A person's choices for the format of a file; None keeps what was recognised."""

    encoding: str | None = None
    delimiter: str | None = None
    heading_row: int | None = None

    def applied(self, recognised: Format) -> Format:
        """Return the format with these choices; raise Refusal for an impossible one."""
        changed: dict[str, Any] = {}
        if recognised.is_translated:
            return recognised
        if self.heading_row is not None:
            if not 0 <= self.heading_row <= MOST_HEADING_ROW:
                raise Refusal(Problem("table_heading_row", "heading_row", {"most": MOST_HEADING_ROW}))
            changed["heading_row"] = self.heading_row
        if recognised.kind == CSV:
            if self.encoding is not None:
                changed["encoding"] = known_encoding(self.encoding)
            if self.delimiter is not None:
                if self.delimiter not in DELIMITERS:
                    raise Refusal(Problem("table_delimiter", "delimiter"))
                changed["delimiter"] = self.delimiter
        return replace(recognised, **changed)


def known_encoding(name: str) -> str:
    """Return the encoding of ENCODINGS that this name means (GBK is a part of GB 18030); raise Refusal."""
    aliases: Mapping[str, str] = {"gbk": "gb18030", "gb2312": "gb18030", "iso8859-1": "cp1252", "utf-8-sig": "utf-8"}
    try:
        plain = codecs.lookup(name).name
    except LookupError:
        plain = ""
    match = {codecs.lookup(encoding).name: encoding for encoding in ENCODINGS}.get(aliases.get(plain, plain))
    if match is None:
        raise Refusal(Problem("table_encoding", "encoding", {"known": ", ".join(ENCODINGS)}))
    return match
