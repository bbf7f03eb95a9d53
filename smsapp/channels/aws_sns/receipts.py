"""Receipts and replies in the messages of notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels.aws_sns.codes import EVENTS, REASONS
from smsapp.channels.types import Receipt, ReceiptStatus, Reply
from smsapp.domain.outcome import Outcome
from smsapp.domain.phone import mask_inside


def read_message(message: Mapping[str, Any]) -> list[Receipt | Reply]:
    """Return the receipts or the reply in a message; raises ValueError."""
    if "notification" in message:
        return [_log_receipt(message)]
    if "eventType" in message:
        return [*_event_receipts(message)]
    if "originationNumber" in message:
        return [_reply(message)]
    raise ValueError("neither a receipt nor a reply")


def _log_receipt(message: Mapping[str, Any]) -> Receipt:
    """Return the receipt in an entry of the delivery log."""
    notification, delivery = message.get("notification"), message.get("delivery")
    if not isinstance(notification, dict) or not notification.get("messageId") or not isinstance(delivery, dict):
        raise ValueError("a log entry that names no message")
    sid, response = str(notification["messageId"]), str(delivery.get("providerResponse") or "").strip()
    status = message.get("status")
    if status == "SUCCESS":
        return Receipt(ReceiptStatus.DELIVERED, provider_ref=sid)
    if status != "FAILURE":
        raise ValueError("a log entry without a status")
    outcome = REASONS.get(response.rstrip(".")) or (Outcome.OPTED_OUT if "opted out" in response else Outcome.UNKNOWN)
    return Receipt(
        ReceiptStatus.UNDELIVERED, provider_ref=sid, outcome=outcome, code=mask_inside(response)[:CODE_LENGTH]
    )


def _event_receipts(message: Mapping[str, Any]) -> list[Receipt]:
    """Return the receipt in an event; [] for events about calls and pictures."""
    code, sid = str(message["eventType"])[:CODE_LENGTH], str(message.get("messageId") or "")
    if not code.startswith("TEXT_"):
        return []
    if not sid:
        raise ValueError("an event that names no message")
    meaning = EVENTS.get(code, Outcome.UNKNOWN if message.get("isFinal") is True else ReceiptStatus.ACCEPTED)
    if isinstance(meaning, Outcome):
        return [Receipt(ReceiptStatus.UNDELIVERED, provider_ref=sid, outcome=meaning, code=code)]
    if code == "TEXT_SUCCESSFUL" and message.get("isFinal") is False:
        meaning = ReceiptStatus.ACCEPTED
    return [Receipt(meaning, provider_ref=sid, code=code)]


def _reply(message: Mapping[str, Any]) -> Reply:
    phone = str(message["originationNumber"] or "")
    if not phone:
        raise ValueError("a reply without a number")
    return Reply(phone, str(message.get("messageBody") or ""), provider_ref=str(message.get("inboundMessageId") or ""))
