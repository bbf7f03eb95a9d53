"""Receipts as an SMSC delivers them, and as a gateway in front of it passes them on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from smsapp.channels.smpp.codes import RECEIPTS, STATES, format_status, status_meaning
from smsapp.channels.smpp.protocol.deliveries import normalised_id, receipt_fields
from smsapp.channels.smpp.protocol.pdu import DeliverSm, Tag
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.outcome import Outcome

NACK = re.compile(r"NACK/(0x[0-9a-f]{1,8}|\d{1,10})(?![0-9a-z])", re.IGNORECASE)
"""A gateway's report that an SMSC refused a message, with the SMSC's status."""


def read_receipt(delivery: DeliverSm, phone: str, base: int, own: Mapping[str, Outcome]) -> Receipt:
    """Return the receipt; its text precedes the optional parameters. Raises ValueError without id or state.

    `phone` is the number it is about; `own` maps this provider's codes to outcomes, from the settings.
    """
    fields = receipt_fields(delivery.text)
    extras = delivery.extras
    ref = fields.get("id") or extras.get(Tag.RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1")
    state = fields.get("stat", "").upper()
    if not state and extras.get(Tag.STATE):
        state = STATES.get(extras[Tag.STATE][0], f"STATE-{extras[Tag.STATE][0]}")
    if not ref or not state:
        raise ValueError("no id or no state")
    error = fields.get("err", "")
    if not error and len(extras.get(Tag.NETWORK_ERROR, b"")) == 3:
        error = str(int.from_bytes(extras[Tag.NETWORK_ERROR][1:], "big"))
    status, outcome, code = receipt_meaning(state, error, own)
    return Receipt(status, provider_ref=normalised_id(ref, base)[:80], phone=phone, outcome=outcome, code=code)


def receipt_meaning(state: str, error: str, own: Mapping[str, Outcome]) -> tuple[ReceiptStatus, Outcome | None, str]:
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
        return format_status(status), status_meaning(status, {}).outcome
    fields = receipt_fields(text.encode("latin-1", "replace"))
    if "stat" not in fields:
        return text, None
    _status, outcome, code = receipt_meaning(fields["stat"].upper(), fields.get("err", ""), {})
    return code, outcome
