"""Parts of replies, stored until all have come."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from smsapp.channels.smpp.protocol.text import Position

SELECT_PARTS = "SELECT number, text FROM part WHERE phone = ? AND ref = ? AND total = ?"
KEEP_SECONDS = 2 * 24 * 3600.0
"""Seconds for which parts of a reply are kept until the missing ones come."""


class ReplyParts:
    """Stores parts of replies in an SQLite file of the channel until all have come; callbacks hold one part each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: sqlite3.Connection | None = None

    def add(self, phone: str, position: Position, text: str, now: float) -> str | None:
        """Store a part; return the whole text if all parts are there, also when the same part is read twice."""
        ref, total, number = position
        key = (phone, ref, total)
        with self._file() as file:
            file.execute("DELETE FROM part WHERE at < ?", (now - KEEP_SECONDS,))
            texts = dict(file.execute(SELECT_PARTS, key))
            if texts.get(number, text) != text:
                # The phone reuses the reference: the stored parts belong to an older text.
                file.execute("DELETE FROM part WHERE phone = ? AND ref = ? AND total = ?", key)
                texts = {}
            file.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)", (*key, number, text, now))
        texts[number] = text
        return "".join(texts[index] for index in sorted(texts)) if len(texts) == total else None

    def _file(self) -> sqlite3.Connection:
        if self._connection is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._folder / "replies.db", timeout=30)
            with closing(self._connection.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute(
                    "CREATE TABLE IF NOT EXISTS part (phone TEXT, ref INTEGER, total INTEGER, number INTEGER,"
                    " text TEXT, at REAL, PRIMARY KEY (phone, ref, total, number)) WITHOUT ROWID"
                )
        return self._connection
