"""What a deliver_sm holds: a receipt, as text or as optional parameters, or a text, whole or one part of it."""

from __future__ import annotations

import re

from smsapp.channels.smpp.protocol.pdu import DeliverSm, Tag
from smsapp.channels.smpp.protocol.text import Position, position_in

KIND = 0x3C
"""Bits of esm_class with the type of a deliver_sm: 0 a text, 0x04 a receipt, 0x20 an intermediate notification."""
IS_RECEIPT = {0x04, 0x20}
IS_TEXT = 0x00
NAME = rb"(?:id|sub|dlvrd|submit date|done date|stat|err|text):"
FIELD = re.compile(rb"\b(id|stat|err):\s*(?!" + NAME + rb")([^\s\0]+)", re.IGNORECASE)
ENDS_FIELDS = re.compile(rb"\btext:", re.IGNORECASE)
"""After this comes the beginning of the message's text, which must not be parsed as fields."""
HEX = re.compile(r"[0-9A-Fa-f]+")


def is_receipt(delivery: DeliverSm) -> bool:
    return delivery.esm_class & KIND in IS_RECEIPT or Tag.RECEIPTED_ID in delivery.extras


def is_text(delivery: DeliverSm) -> bool:
    return delivery.esm_class & KIND == IS_TEXT


def position_of(delivery: DeliverSm) -> Position | None:
    """Return the position of a part, from the optional parameters or the user data header; None if it is no part."""
    ref, total, number = (delivery.extras.get(tag) for tag in (Tag.SAR_REF, Tag.SAR_TOTAL, Tag.SAR_NUMBER))
    if ref and total and number:
        return int.from_bytes(ref, "big"), total[0], number[0]
    return position_in(delivery.header)


def normalised_id(raw: str, base: int = 0) -> str:
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


def receipt_fields(text: bytes) -> dict[str, str]:
    """Return those of id, stat and err that a receipt's text has; the text may be UCS-2."""
    if b"\0" in text[:2] or text[:2] in {b"\xfe\xff", b"\xff\xfe"}:
        text = text.replace(b"\0", b"")  # the fields are ASCII
    text = ENDS_FIELDS.split(text, 1)[0]
    return {name.decode().lower(): value.decode("latin-1") for name, value in reversed(FIELD.findall(text))}
