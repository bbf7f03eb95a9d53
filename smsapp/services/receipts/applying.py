"""Applies receipts to messages in bulk: those of a run that are in one state and get the same news change together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Status, advance
from smsapp.domain.outcome import Outcome
from smsapp.domain.storable import storable
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import billing, matching, proof_receipts
from smsapp.services.receipts.matching import ChannelReceipt, MatchedReceipts, ReceiptsBySeq
from smsapp.store.receipts import codes, state_changes, unmatched
from smsapp.store.receipts.state_changes import MessageState, StateChange

ReceiptContent = tuple[ReceiptStatus, Outcome | None, str]
"""What a receipt says: status, outcome and the provider's code."""
LONGEST_PHONE = 16
"""Characters stored of a receipt's number: E.164, or as the provider wrote it if no number can be read."""
TEST_REF = "test-"
"""The prefix of references of test sends; their receipts belong to no run."""
STATUS = {
    ReceiptStatus.DELIVERED: Status.DELIVERED,
    ReceiptStatus.UNDELIVERED: Status.UNDELIVERED,
    ReceiptStatus.ACCEPTED: Status.ACCEPTED,
}


def apply_receipts(session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime) -> None:
    """Apply each channel's receipts in the caller's transaction and store those that match no message of ours.

    Receipts of test sends are not stored: they belong to no run.
    """
    unmatched.store(
        session,
        [
            {
                "channel_id": channel_id,
                "ref": storable(receipt.ref),
                "provider_ref": storable(receipt.provider_ref),
                "phone": storable(receipt.phone, LONGEST_PHONE),
                "status": receipt.status,
                "outcome": receipt.outcome,
                "code": storable(receipt.code),
            }
            for channel_id, receipt in proof_receipts.take(session, apply_to_messages(session, arrived, now), now)
            if not receipt.ref.startswith(TEST_REF)
        ],
        now,
    )


@dataclass(slots=True)
class PlannedChanges:
    """What receipts change, found out before anything is stored."""

    changes: dict[StateChange, list[int]] = field(default_factory=dict)
    """Change -> seqs of the messages that make it."""
    existing: dict[int, set[int]] = field(default_factory=dict)
    """Run -> seqs of those of its named messages that exist."""

    def with_reason(self, reason: Outcome) -> list[tuple[StateChange, list[int]]]:
        """Return the changes to a failure for this reason."""
        return [(change, seqs) for change, seqs in self.changes.items() if change.reason == reason]


def apply_to_messages(
    session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime
) -> list[ChannelReceipt]:
    """Apply each channel's receipts; return those that name no message of it."""
    matched = matching.match(session, arrived, now)
    plan = _plan(session, matched)
    state_changes.apply_changes(session, plan.changes, int(now.timestamp()))
    _bill(session, plan.changes)
    _count_unknown_codes(session, matched, plan, now)
    _record_opt_outs(session, plan, now)
    return matched.unmatched + _without_message(matched, plan)


def _plan(session: Session, matched: MatchedReceipts) -> PlannedChanges:
    """Lock the messages and return what their receipts change."""
    plan = PlannedChanges()
    for run_id, state, seqs in state_changes.current_states(session, matched.by_run):
        plan.existing.setdefault(run_id, set()).update(seqs)
        for (kind, outcome, code), group in _group_by_content(state, seqs, matched.by_run[run_id]).items():
            status = advance(state.status, STATUS[kind])
            if status is not state.status:
                reason = str(outcome or "unknown") if status is Status.UNDELIVERED else ""
                change = StateChange(run_id, state, status, reason, storable(code))
                plan.changes.setdefault(change, []).extend(group)
    return plan


def _group_by_content(
    state: MessageState, seqs: Sequence[int], receipts_by_seq: ReceiptsBySeq
) -> dict[ReceiptContent, list[int]]:
    """Return messages in one state by what their decisive receipts say."""
    groups: dict[ReceiptContent, list[int]] = {}
    for seq in seqs:
        receipts = receipts_by_seq[seq]
        receipt = receipts[0] if len(receipts) == 1 else _final_receipt(state.status, receipts)
        groups.setdefault((receipt.status, receipt.outcome, receipt.code), []).append(seq)
    return groups


def _final_receipt(status: Status, receipts: Sequence[Receipt]) -> Receipt:
    """Return the last receipt that changes a message of this status, or the first one if none does."""
    decisive = receipts[0]
    for receipt in receipts:
        after = advance(status, STATUS[receipt.status])
        if after is not status:
            status, decisive = after, receipt
    return decisive


def _without_message(matched: MatchedReceipts, plan: PlannedChanges) -> list[ChannelReceipt]:
    """Return the receipts that name a run of their channel, but a message that this run does not have."""
    return [
        ChannelReceipt(matched.channel_of[run_id], receipt)
        for run_id, by_seq in matched.by_run.items()
        if len(by_seq) > len(plan.existing.get(run_id, ()))
        for seq, receipts in by_seq.items()
        if seq not in plan.existing.get(run_id, ())
        for receipt in receipts
    ]


def _bill(session: Session, changes: Mapping[StateChange, Sequence[int]]) -> None:
    """Set the parts of messages that a receipt made accepted, except those in flight: their answer brings the parts."""
    unbilled: dict[int, list[int]] = {}
    for change, seqs in changes.items():
        if state_changes.is_accepted_by(change) and not change.previous.parts and not change.previous.in_flight:
            unbilled.setdefault(change.run_id, []).extend(seqs)
    for run_id, seqs in sorted(unbilled.items()):
        billing.bill_messages(session, run_id, seqs)


def _count_unknown_codes(session: Session, matched: MatchedReceipts, plan: PlannedChanges, now: dt.datetime) -> None:
    """Count the provider's codes that no table explains, once per message."""
    unexplained = [
        (matched.channel_of[change.run_id], change.code)
        for change, seqs in plan.with_reason(Outcome.UNKNOWN)
        for _ in seqs
    ]
    codes.count(session, unexplained, now)


def _record_opt_outs(session: Session, plan: PlannedChanges, now: dt.datetime) -> None:
    """Record the opt-outs of people whose messages failed because they had opted out at the provider."""
    opted_out = [(change.run_id, seq) for change, seqs in plan.with_reason(Outcome.OPTED_OUT) for seq in seqs]
    if opted_out:
        opt_outs.record_told(session, opted_out, now)
