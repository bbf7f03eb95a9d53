"""Receipts of the test group's texts: matched in a ledger of their own, by the rules of all receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Status, advance
from smsapp.domain.outcome import Outcome
from smsapp.domain.receipt_match import owner_of
from smsapp.domain.storable import storable
from smsapp.services.receipts.matching import ChannelReceipt
from smsapp.store.receipts import unmatched
from smsapp.store.runs import proofs as store
from smsapp.store.runs.proofs import ProofMessage

PROOF_REF = "test-p-"
"""The prefix of references of the test group's texts; like those of all tests they belong to no run."""
STATUS = {
    ReceiptStatus.DELIVERED: Status.DELIVERED,
    ReceiptStatus.UNDELIVERED: Status.UNDELIVERED,
    ReceiptStatus.ACCEPTED: Status.ACCEPTED,
}


def take(session: Session, receipts: Sequence[ChannelReceipt], now: dt.datetime) -> list[ChannelReceipt]:
    """Apply those of these receipts that are about texts of the test group; return the others, in order."""
    by_channel: dict[int, list[Receipt]] = {}
    for channel_id, receipt in receipts:
        if receipt.ref.startswith(PROOF_REF) or (not receipt.ref and receipt.provider_ref):
            by_channel.setdefault(channel_id, []).append(receipt)
    taken = {
        id(receipt) for channel_id, some in by_channel.items() for receipt in _apply(session, channel_id, some, now)
    }
    return [pair for pair in receipts if id(pair.receipt) not in taken]


def _apply(session: Session, channel_id: int, receipts: Sequence[Receipt], now: dt.datetime) -> Iterable[Receipt]:
    """Apply a channel's receipts; yield those that have a text."""
    refs = {receipt.ref for receipt in receipts if receipt.ref}
    provider_refs = {storable(receipt.provider_ref) for receipt in receipts if not receipt.ref}
    by_ref = store.by_refs(session, channel_id, sorted(refs)) if refs else {}
    owners = store.by_provider_refs(session, channel_id, sorted(provider_refs)) if provider_refs else {}
    for receipt in receipts:
        if receipt.ref:
            message = by_ref.get(receipt.ref)
        else:
            message = owner_of(owners.get(storable(receipt.provider_ref), {}), receipt.phone)
        if message is not None:
            _advance(message, receipt.status, receipt.outcome, receipt.code, now)
            yield receipt
    session.flush()


def _advance(
    message: ProofMessage, received: ReceiptStatus, outcome: Outcome | None, code: str, now: dt.datetime
) -> None:
    status = advance(Status(message.status), STATUS[received])
    if status == message.status:
        return
    message.status = int(status)
    message.reason = str(outcome or Outcome.UNKNOWN) if status is Status.UNDELIVERED else ""
    message.code = storable(code)
    if status in (Status.DELIVERED, Status.UNDELIVERED):
        message.receipt_at = now


def apply_waiting(session: Session, channel_id: int, message: ProofMessage, now: dt.datetime) -> None:
    """Apply receipts that came before the answer brought the provider's id by which they name this text."""
    if not message.provider_ref:
        return
    waiting = unmatched.page(session, channel_id=channel_id, ref=message.provider_ref, before=None, limit=10)
    owners = {message.phone: message}
    mine = [row for row in reversed(waiting) if not row.ref and owner_of(owners, row.phone) is message]
    for row in mine:
        outcome = Outcome(row.outcome) if row.outcome else None
        _advance(message, ReceiptStatus(row.status), outcome, row.code, row.at)
    unmatched.delete(session, [row.id for row in mine])
