"""What an SMSC delivers to us: receipts, as text or as optional parameters, and replies, whole or in parts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from smsapp.channels.base import Receipt, ReceiptStatus
from smsapp.channels.smpp.codes import RECEIPTS, STATES, verdict, written
from smsapp.channels.smpp.pdu import Delivered, Tag
from smsapp.domain.outcome import Outcome

KIND = 0x3C
"""Bits of esm_class that say what a deliver_sm is: 0 a text, 0x04 a receipt, 0x20 news on the way."""
IS_RECEIPT = {0x04, 0x20}
IS_TEXT = 0x00
NAME = rb"(?:id|sub|dlvrd|submit date|done date|stat|err|text):"
FIELD = re.compile(rb"\b(id|stat|err):\s*(?!" + NAME + rb")([^\s\0]+)", re.IGNORECASE)
ENDS_FIELDS = re.compile(rb"\btext:", re.IGNORECASE)
"""What follows is the beginning of the message, whatever it looks like."""
HEX = re.compile(r"[0-9A-Fa-f]+")
NACK = re.compile(r"NACK/(0x[0-9a-f]{1,8}|\d{1,10})(?![0-9a-z])", re.IGNORECASE)
"""How a gateway tells that an SMSC refused a message, with the status as it came."""
ITS_PARTS = "SELECT number, text FROM part WHERE phone = ? AND ref = ? AND total = ?"
PARTS_KEPT = 2 * 24 * 3600.0
"""Seconds parts of a reply wait for the missing ones."""


def is_receipt(delivered: Delivered) -> bool:
    return delivered.esm_class & KIND in IS_RECEIPT or Tag.RECEIPTED_ID in delivered.extras


def is_text(delivered: Delivered) -> bool:
    return delivered.esm_class & KIND == IS_TEXT


def place_of(delivered: Delivered) -> tuple[int, int, int] | None:
    """Return (reference, total, number) that optional parameters tell of a part; None if there are none."""
    ref, total, number = (delivered.extras.get(tag) for tag in (Tag.SAR_REF, Tag.SAR_TOTAL, Tag.SAR_NUMBER))
    return (int.from_bytes(ref, "big"), total[0], number[0]) if ref and total and number else None


def plain_id(raw: str, base: int = 0) -> str:
    """Return a message id in the form in which answers and receipts are compared.

    `base`: 10 or 16 if this side writes it as such a number and the other side does not; 0 leaves it as it is, except
    for leading zeros and the case of hexadecimal digits.
    """
    raw = raw.strip()
    if base:
        try:
            return str(int(raw, base))
        except ValueError:
            return raw
    return (raw.lower().lstrip("0") or "0") if HEX.fullmatch(raw) else raw


def fields_of(text: bytes) -> dict[str, str]:
    """Return id, stat and err of a receipt's text, as far as they are there; the text may be UCS-2."""
    if b"\0" in text[:2] or text[:2] in {b"\xfe\xff", b"\xff\xfe"}:
        text = text.replace(b"\0", b"")  # the fields are ASCII
    text = ENDS_FIELDS.split(text, 1)[0]
    return {name.decode().lower(): value.decode("latin-1") for name, value in reversed(FIELD.findall(text))}


def read_receipt(delivered: Delivered, phone: str, base: int, own: Mapping[str, Outcome]) -> Receipt:
    """Return what a receipt says; the text counts before the optional parameters. Raises ValueError if it says nothing.

    `phone` is the number it is about; `own` is what the settings say about this provider's words.
    """
    fields = fields_of(delivered.text)
    extras = delivered.extras
    ref = fields.get("id") or extras.get(Tag.RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1")
    state = fields.get("stat", "").upper()
    if not state and extras.get(Tag.STATE):
        state = STATES.get(extras[Tag.STATE][0], f"STATE-{extras[Tag.STATE][0]}")
    if not ref or not state:
        raise ValueError("no id or no state")
    error = fields.get("err", "")
    if not error and len(extras.get(Tag.NETWORK_ERROR, b"")) == 3:
        error = str(int.from_bytes(extras[Tag.NETWORK_ERROR][1:], "big"))
    status, outcome, code = meaning_of(state, error, own)
    return Receipt(status, provider_ref=plain_id(ref, base)[:80], phone=phone, outcome=outcome, code=code)


def meaning_of(state: str, error: str, own: Mapping[str, Outcome]) -> tuple[ReceiptStatus, Outcome | None, str]:
    """Return the news, its outcome and the code to keep of a receipt's state and error."""
    code = f"{state}/{error}" if error.strip("0") else state
    status, outcome = RECEIPTS.get(state, (ReceiptStatus.ACCEPTED, None))
    said = own.get(code) or own.get(state)
    if said is not None and status is not ReceiptStatus.DELIVERED:
        status, outcome = ReceiptStatus.UNDELIVERED, said
    return status, outcome, code[:80]


def smsc_code(text: str) -> tuple[str, Outcome | None]:
    """Return the code and its outcome of what a gateway hands on of an SMSC: a receipt's text or a refusal.

    Any other text is its own code, of which nothing is known.
    """
    refused = NACK.match(text)
    if refused:
        status = int(refused[1], 16 if refused[1].lower().startswith("0x") else 10)
        return written(status), verdict(status, {}).outcome
    fields = fields_of(text.encode("latin-1", "replace"))
    if "stat" not in fields:
        return text, None
    _news, outcome, code = meaning_of(fields["stat"].upper(), fields.get("err", ""), {})
    return code, outcome


class Drawer:
    """Parts of replies that wait for the others, in a file of the channel's own; the inbox brings each on its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: sqlite3.Connection | None = None

    def put(self, phone: str, place: tuple[int, int, int], text: str, now: float) -> str | None:
        """Keep a part; return the whole text if this one completes it (again: the same part may be read twice)."""
        ref, total, number = place
        key = (phone, ref, total)
        with self._opened() as file:
            file.execute("DELETE FROM part WHERE at < ?", (now - PARTS_KEPT,))
            known = dict(file.execute(ITS_PARTS, key))
            if known.get(number, text) != text:
                # The phone has begun to count anew: what is here belongs to an older text.
                file.execute("DELETE FROM part WHERE phone = ? AND ref = ? AND total = ?", key)
                known = {}
            file.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)", (*key, number, text, now))
        known[number] = text
        return "".join(known[one] for one in sorted(known)) if len(known) == total else None

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self._folder / "replies.db", timeout=30)
            with closing(self._file.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute(
                    "CREATE TABLE IF NOT EXISTS part (phone TEXT, ref INTEGER, total INTEGER, number INTEGER,"
                    " text TEXT, at REAL, PRIMARY KEY (phone, ref, total, number)) WITHOUT ROWID"
                )
        return self._file
