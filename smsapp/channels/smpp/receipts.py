"""Parsing what an SMSC delivers: receipts, as text or as optional parameters, and replies, whole or in parts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from smsapp.channels.smpp.codes import RECEIPTS, STATES, verdict, written
from smsapp.channels.smpp.pdu import Delivered, Tag
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.outcome import Outcome

KIND = 0x3C
"""Bits of esm_class with the type of a deliver_sm: 0 a text, 0x04 a receipt, 0x20 an intermediate notification."""
IS_RECEIPT = {0x04, 0x20}
IS_TEXT = 0x00
NAME = rb"(?:id|sub|dlvrd|submit date|done date|stat|err|text):"
FIELD = re.compile(rb"\b(id|stat|err):\s*(?!" + NAME + rb")([^\s\0]+)", re.IGNORECASE)
ENDS_FIELDS = re.compile(rb"\btext:", re.IGNORECASE)
"""After this comes the beginning of the message's text, which must not be parsed as fields."""
HEX = re.compile(r"[0-9A-Fa-f]+")
NACK = re.compile(r"NACK/(0x[0-9a-f]{1,8}|\d{1,10})(?![0-9a-z])", re.IGNORECASE)
"""A gateway's report that an SMSC refused a message, with the SMSC's status."""
ITS_PARTS = "SELECT number, text FROM part WHERE phone = ? AND ref = ? AND total = ?"
PARTS_KEPT = 2 * 24 * 3600.0
"""Seconds for which parts of a reply are kept until the missing ones come."""


def is_receipt(delivered: Delivered) -> bool:
    return delivered.esm_class & KIND in IS_RECEIPT or Tag.RECEIPTED_ID in delivered.extras


def is_text(delivered: Delivered) -> bool:
    return delivered.esm_class & KIND == IS_TEXT


def place_of(delivered: Delivered) -> tuple[int, int, int] | None:
    """Return (reference, total, number) of a part from the optional parameters; None if they are missing."""
    ref, total, number = (delivered.extras.get(tag) for tag in (Tag.SAR_REF, Tag.SAR_TOTAL, Tag.SAR_NUMBER))
    return (int.from_bytes(ref, "big"), total[0], number[0]) if ref and total and number else None


def plain_id(raw: str, base: int = 0) -> str:
    """Return a message id normalised, so that ids of answers and receipts can be compared.

    `base`: 10 or 16 if this side writes ids in that base and the other side does not; 0 changes only leading zeros and
    the case of hexadecimal digits.
    """
    raw = raw.strip()
    if base:
        try:
            return str(int(raw, base))
        except ValueError:
            return raw
    return (raw.lower().lstrip("0") or "0") if HEX.fullmatch(raw) else raw


def fields_of(text: bytes) -> dict[str, str]:
    """Return those of id, stat and err that a receipt's text has; the text may be UCS-2."""
    if b"\0" in text[:2] or text[:2] in {b"\xfe\xff", b"\xff\xfe"}:
        text = text.replace(b"\0", b"")  # the fields are ASCII
    text = ENDS_FIELDS.split(text, 1)[0]
    return {name.decode().lower(): value.decode("latin-1") for name, value in reversed(FIELD.findall(text))}


def read_receipt(delivered: Delivered, phone: str, base: int, own: Mapping[str, Outcome]) -> Receipt:
    """Return the receipt; its text precedes the optional parameters. Raises ValueError without id or state.

    `phone` is the number it is about; `own` maps this provider's codes to outcomes, from the settings.
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
    """Return (status, outcome, code to keep) for a receipt's state and error."""
    code = f"{state}/{error}" if error.strip("0") else state
    status, outcome = RECEIPTS.get(state, (ReceiptStatus.ACCEPTED, None))
    own_outcome = own.get(code) or own.get(state)
    if own_outcome is not None and status is not ReceiptStatus.DELIVERED:
        status, outcome = ReceiptStatus.UNDELIVERED, own_outcome
    return status, outcome, code[:80]


def smsc_code(text: str) -> tuple[str, Outcome | None]:
    """Return (code, outcome) of an SMSC's receipt text or refusal that a gateway passed on.

    Any other text is returned as the code, with None.
    """
    match = NACK.match(text)
    if match:
        status = int(match[1], 16 if match[1].lower().startswith("0x") else 10)
        return written(status), verdict(status, {}).outcome
    fields = fields_of(text.encode("latin-1", "replace"))
    if "stat" not in fields:
        return text, None
    _news, outcome, code = meaning_of(fields["stat"].upper(), fields.get("err", ""), {})
    return code, outcome


class Drawer:
    """Stores parts of replies in an SQLite file of the channel until all have come; callbacks hold one part each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: sqlite3.Connection | None = None

    def put(self, phone: str, place: tuple[int, int, int], text: str, now: float) -> str | None:
        """Store a part; return the whole text if all parts are there, also when the same part is read twice."""
        ref, total, number = place
        key = (phone, ref, total)
        with self._opened() as file:
            file.execute("DELETE FROM part WHERE at < ?", (now - PARTS_KEPT,))
            texts = dict(file.execute(ITS_PARTS, key))
            if texts.get(number, text) != text:
                # The phone reuses the reference: the stored parts belong to an older text.
                file.execute("DELETE FROM part WHERE phone = ? AND ref = ? AND total = ?", key)
                texts = {}
            file.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)", (*key, number, text, now))
        texts[number] = text
        return "".join(texts[index] for index in sorted(texts)) if len(texts) == total else None

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
