"""The meaning of an SMSC's codes: statuses of answers, states of receipts."""

from __future__ import annotations

from collections.abc import Mapping

from smsapp.channels._error_codes import (
    OUTCOME_UNKNOWN,
    THROTTLED,
    UNKNOWN_CODE,
    ErrorMeaning,
    account_error,
    recipient_error,
    text_error,
)
from smsapp.channels._setting import read_outcome
from smsapp.channels.errors import AccountError, ChannelError, NotSent
from smsapp.channels.types import ReceiptStatus
from smsapp.domain.outcome import Outcome

OURS = account_error(Outcome.OUR_FAULT)
SENDER = account_error(Outcome.SIGNATURE_REFUSED)

SUBMITS: dict[int, ErrorMeaning] = {
    # command_status of submit_sm_resp
    0x01: text_error(Outcome.CONTENT_REFUSED),  # invalid message length
    0x02: OURS,  # invalid command length
    0x03: OURS,  # invalid command
    0x04: OURS,  # not bound for this
    0x06: OURS,  # invalid priority
    0x07: OURS,  # invalid registered_delivery
    0x08: OUTCOME_UNKNOWN,  # system error
    0x0A: SENDER,  # invalid source address
    0x0B: recipient_error(Outcome.BAD_NUMBER),  # invalid destination address
    0x0C: OURS,  # invalid message id
    0x14: THROTTLED,  # queue full
    0x15: OURS,  # invalid service type
    0x43: OURS,  # invalid esm_class
    0x45: recipient_error(Outcome.PROVIDER_FAULT),  # submit failed
    0x48: SENDER,  # invalid source TON
    0x49: SENDER,  # invalid source NPI
    0x50: OURS,  # invalid destination TON
    0x51: OURS,  # invalid destination NPI
    0x53: OURS,  # invalid system type
    0x58: THROTTLED,  # throttled
    0x61: OURS,  # invalid schedule time
    0x62: OURS,  # invalid validity
    0x64: THROTTLED,  # temporary application error
    0x65: recipient_error(Outcome.PROVIDER_FAULT),  # permanent application error
    0x66: recipient_error(Outcome.BLOCKED_BY_CARRIER),  # rejected by the application
    0xC0: OURS,  # optional part of the body
    0xC1: OURS,  # optional parameter not allowed
    0xC2: OURS,  # invalid parameter length
    0xC3: OURS,  # optional parameter missing
    0xC4: OURS,  # invalid optional parameter
    0xFE: recipient_error(Outcome.UNKNOWN),  # delivery failure
}

BUSY = {0x05, 0x08, 0x14, 0x58, 0x64}
"""Temporary refusals of a bind: still bound, system error, queue full, throttled, temporary error."""

STATES: dict[int, str] = {
    # message_state in an optional parameter -> the word in the text of a receipt
    0: "SCHEDULED", 1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN",
    8: "REJECTD", 9: "SKIPPED",
}  # fmt: skip

RECEIPTS: dict[str, tuple[ReceiptStatus, Outcome | None]] = {
    "DELIVRD": (ReceiptStatus.DELIVERED, None),
    "EXPIRED": (ReceiptStatus.UNDELIVERED, Outcome.EXPIRED),
    "DELETED": (ReceiptStatus.UNDELIVERED, Outcome.PROVIDER_FAULT),
    "UNDELIV": (ReceiptStatus.UNDELIVERED, Outcome.UNKNOWN),
    "REJECTD": (ReceiptStatus.UNDELIVERED, Outcome.BLOCKED_BY_CARRIER),
    "SKIPPED": (ReceiptStatus.UNDELIVERED, Outcome.PROVIDER_FAULT),
}
"""All other states prove neither outcome: ENROUTE, ACCEPTD, UNKNOWN and a vendor's own."""

ABOUT_THE_ACCOUNT = {
    Outcome.CREDENTIALS,
    Outcome.BALANCE,
    Outcome.QUOTA,
    Outcome.TEMPLATE_REFUSED,
    Outcome.SIGNATURE_REFUSED,
    Outcome.OUR_FAULT,
}


def format_status(status: int) -> str:
    return f"0x{status:08x}"


def read_own_code(line: str) -> tuple[str, Outcome]:
    """Return (code, outcome) of a line of the settings, such as `0x411 = balance` or `UNDELIV/027 = switched_off`."""
    code, outcome = read_outcome(line)
    if code.lower().startswith("0x"):
        code = format_status(int(code, 16))
    return code, outcome


def status_meaning(status: int, own: Mapping[str, Outcome]) -> ErrorMeaning:
    """Return the meaning of a submit's status; `own` maps this provider's codes to outcomes, from the settings."""
    outcome = own.get(format_status(status))
    if outcome is None:
        return SUBMITS.get(status, UNKNOWN_CODE)
    if outcome is Outcome.THROTTLED:
        return THROTTLED
    return account_error(outcome) if outcome in ABOUT_THE_ACCOUNT else recipient_error(outcome)


def bind_error(status: int) -> ChannelError:
    """Return the error for a bind that was answered with this status."""
    if status == 0x05:
        return NotSent("bound_already", outcome=Outcome.PROVIDER_FAULT)
    if status in BUSY:
        return NotSent(format_status(status), outcome=Outcome.PROVIDER_FAULT)
    return AccountError(format_status(status), outcome=Outcome.CREDENTIALS)
