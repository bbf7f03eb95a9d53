"""Matches receipts to messages: by our own reference, or else by the provider's id together with the number."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy.orm import Session

from smsapp.channels.types import Receipt
from smsapp.domain.phone import is_erased
from smsapp.domain.receipt_match import owner_of
from smsapp.domain.storable import storable
from smsapp.services.channels import registry
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.privacy import erased_numbers
from smsapp.store.runs import provider_refs, runs
from smsapp.store.runs.runs import MessageKey
from smsapp.store.settings import settings

REF = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


class ChannelReceipt(NamedTuple):
    """A receipt and the channel that brought it."""

    channel_id: int
    receipt: Receipt


ReceiptsBySeq = dict[int, list[Receipt]]
"""The receipts of a run's messages: seq -> receipts in the order they came."""


@dataclass(slots=True)
class MatchedReceipts:
    """Receipts by the message they are about."""

    by_run: dict[int, ReceiptsBySeq] = field(default_factory=dict)
    channel_of: Mapping[int, int] = field(default_factory=dict)
    """Run -> its channel, for every run that a receipt names and that exists."""
    unmatched: list[ChannelReceipt] = field(default_factory=list)
    """Receipts that name no run of their channel."""


def match(session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime) -> MatchedReceipts:
    """Match each channel's receipts to the messages they name; whether the run has these messages is not checked."""
    matched = MatchedReceipts()
    runs_by_channel = {
        channel_id: _receipts_by_run(session, channel_id, receipts, now, matched.unmatched)
        for channel_id, receipts in arrived.items()
    }
    matched.channel_of = runs.channel_of(session, set().union(*runs_by_channel.values()))
    for channel_id, receipts_by_run in runs_by_channel.items():
        for run_id, by_seq in receipts_by_run.items():
            # A provider's receipt cannot change another provider's messages.
            if matched.channel_of.get(run_id) == channel_id:
                matched.by_run[run_id] = by_seq
            else:
                matched.unmatched += [
                    ChannelReceipt(channel_id, receipt) for receipts in by_seq.values() for receipt in receipts
                ]
    return matched


def _receipts_by_run(
    session: Session,
    channel_id: int,
    receipts: Sequence[Receipt],
    now: dt.datetime,
    unmatched: list[ChannelReceipt],
) -> dict[int, ReceiptsBySeq]:
    """Return a channel's receipts by the message they name; add those that name none to `unmatched`."""
    owners_by_ref = _by_provider_ref(session, channel_id, receipts, now)
    of_erased = {ref for ref, owners in owners_by_ref.items() if any(map(is_erased, owners))}
    by_run: dict[int, ReceiptsBySeq] = {}
    for receipt in receipts:
        key = _named_by(receipt, owners_by_ref)
        if key is None and not receipt.ref and (is_erased(receipt.phone) or of_erased):
            owners = owners_by_ref.get(storable(receipt.provider_ref), {})
            key = _erased_owner(session, channel_id, receipt.phone, owners)
        if key is None:
            unmatched.append(ChannelReceipt(channel_id, receipt))
        else:
            run_id, seq = key
            by_run.setdefault(run_id, {}).setdefault(seq, []).append(receipt)
    return by_run


def _named_by(receipt: Receipt, owners_by_ref: Mapping[str, Mapping[str, MessageKey]]) -> MessageKey | None:
    """Return the message that a receipt names; None if it names none."""
    if not receipt.ref:
        return owner_of(owners_by_ref.get(storable(receipt.provider_ref), {}), receipt.phone)
    if ref := REF.fullmatch(receipt.ref):
        run_id, seq = ref.groups()
        return MessageKey(int(run_id), int(seq))
    return None


def _erased_owner(session: Session, channel_id: int, named: str, owners: Mapping[str, MessageKey]) -> MessageKey | None:
    """Return the message to the number `named` of a receipt, if one of the two was erased and is a hash."""
    if is_erased(named):
        hashes = erased_numbers.hashes_of(session, owners)
        return next((key for number, key in owners.items() if hashes.get(number) == named), None)
    channel = session.get(ChannelRow, channel_id)
    regions = {settings().DEFAULT_REGION, *([registry.country_of(channel)] if channel else [])}
    return owners.get(erased_numbers.hash_named(session, named, regions, owners))


def _by_provider_ref(
    session: Session, channel_id: int, receipts: Sequence[Receipt], now: dt.datetime
) -> dict[str, dict[str, MessageKey]]:
    """Return provider's id -> phone -> message for receipts without a reference of ours."""
    refs = {storable(receipt.provider_ref) for receipt in receipts if not receipt.ref and receipt.provider_ref}
    return provider_refs.owners(session, channel_id, sorted(refs), window_begin(now)) if refs else {}


def window_begin(now: dt.datetime) -> int:
    """Return the earliest moment (Unix seconds) of provider ids by which receipts are matched."""
    return int((now - dt.timedelta(hours=settings().RECEIPT_HOURS)).timestamp())
