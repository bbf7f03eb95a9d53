"""Sending again to those who can be retried: who is among them, and numbers that count nobody twice."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from smsapp.channels.types import Receipt, ReceiptStatus, SubmitRequest, SubmitResult
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict
from smsapp.domain.funnel import Funnel, broken_identities
from smsapp.domain.outcome import Outcome
from smsapp.domain.recipients import GROUPS
from smsapp.services.contacts import opt_outs
from smsapp.services.reports import recipient_list, reports, verify
from smsapp.services.sending import actions, opening, retries, starting
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Message
from tests import builders
from tests.engine import OPERATOR, apply, confirmed, daily, funnel, refs, status, the_run, waiting, work
from tests.fakes import FakeChannel, FakeClock, Script

OFF = Receipt(ReceiptStatus.UNDELIVERED, outcome=Outcome.SWITCHED_OFF, code="MK:0010")


def whole(campaign: Campaign) -> Funnel:
    """The campaign's numbers, checked: identities, tallies against rows, and people behind each number."""
    current_session().commit()
    current_session().expire_all()
    counts = funnels.campaign_funnels(current_session(), [campaign.id])[campaign.id]
    assert broken_identities(counts) == []
    assert [check.broken for check in verify.verify(campaign.id) if check.broken] == []
    for name in ("target", "planned", "delivered", "undelivered", "refused", "awaiting"):
        people = recipient_list.page(campaign.id, None, GROUPS[name], recipient_list.parse_phone_query(""), None).rows
        assert len(people) == getattr(counts, name), name
    return counts


def failing(*fates: Outcome | None) -> Script:
    """What the provider answers to messages, one fate after the other: refused with this outcome, or accepted."""

    def answer(submission: SubmitRequest) -> list[SubmitResult]:
        return [
            SubmitResult(True, "x") if fate is None else SubmitResult(False, outcome=fate, code="E")
            for fate in fates[: len(submission.messages)]
        ]

    return answer


def sent(app: Flask, provider: FakeChannel, clock: FakeClock) -> tuple[Campaign, int]:
    """Six people: one delivered, one awaited, one refused for now, one for ever, one phone off, one without receipt."""
    builders.contacts(6)
    provider.script = failing(None, None, Outcome.FREQUENCY_LIMIT, Outcome.BAD_NUMBER, None, None)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    ref = refs(run_id)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, ref[0]), said(OFF, ref[4]), said(OFF, ref[5]))
    provider.script = None
    provider.sent.clear()
    clock.forward(hours=1)
    return campaign, run_id


def said(receipt: Receipt, ref: str) -> Receipt:
    return Receipt(receipt.status, ref, outcome=receipt.outcome, code=receipt.code)


def test_only_what_failed_and_may_succeed_is_sent_again_and_nobody_counts_twice(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = sent(app, provider, clock)
    assert reports.report(campaign.id, None, clock.now).retriable == {run_id: 3}
    review = retries.review(campaign.id, run_id, clock.now)
    assert (review.failed, review.counts.planned, review.gone, review.change) == (3, 3, 0, None)
    before = whole(campaign)

    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    assert status(campaign) == Status.SENDING
    work(app, clock)

    assert (the_run(again).repeats, funnel(again).target, funnel(again).accepted) == (run_id, 3, 3)
    assert (len(provider.sent), status(campaign)) == (3, Status.SENT)
    after = whole(campaign)
    assert (after.target, after.planned) == (before.target, before.planned) == (6, 6)
    assert (after.delivered, after.awaiting, after.undelivered, after.refused) == (1, 4, 0, 1)
    apply(clock, *(Receipt(ReceiptStatus.DELIVERED, ref) for ref in refs(again)))
    assert whole(campaign).delivered == 4
    # and there is nobody left to try again
    assert reports.report(campaign.id, None, clock.now).retriable == {}
    clock.forward(minutes=1)
    with pytest.raises(Conflict):
        retries.send_again(campaign.id, run_id, OPERATOR, clock.now)


def test_what_fails_again_is_tried_again_from_where_it_failed(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = sent(app, provider, clock)
    provider.script = failing(Outcome.FREQUENCY_LIMIT, None, Outcome.BAD_NUMBER)
    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    work(app, clock)
    assert (whole(campaign).refused, whole(campaign).accepted) == (3, 3)
    assert reports.report(campaign.id, None, clock.now).retriable == {again: 1}

    provider.script = None
    clock.forward(hours=1)
    third = retries.send_again(campaign.id, again, OPERATOR, clock.now)
    work(app, clock)

    assert funnel(third).accepted == 1
    assert (whole(campaign).refused, whole(campaign).accepted, whole(campaign).target) == (2, 4, 6)


def test_a_late_receipt_for_the_first_try_leaves_every_number_true(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = sent(app, provider, clock)
    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    work(app, clock)

    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[4]), Receipt(ReceiptStatus.DELIVERED, refs(run_id)[2]))

    assert (funnel(run_id).delivered, funnel(again).awaiting) == (3, 3)
    assert (whole(campaign).delivered, whole(campaign).awaiting) == (1, 4)


def test_a_receipt_before_the_new_run_is_frozen_takes_the_person_out(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = sent(app, provider, clock)
    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[4]))
    work(app, clock)
    assert (funnel(again).target, whole(campaign).delivered) == (2, 2)


def test_the_usual_exclusions_hold_and_who_is_gone_is_gone(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = sent(app, provider, clock)
    out, moved, deleted = (_person(run_id, seq) for seq in (3, 5, 6))
    opt_outs.add(out.phones["$phone"], "", OPERATOR, clock.now)
    moved.phones = {"$phone": "+8613700000001"}
    current_session().delete(deleted)
    current_session().commit()

    review = retries.review(campaign.id, run_id, clock.now)
    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    work(app, clock)

    assert (review.failed, review.gone, review.left_out, review.counts.planned) == (3, 2, [("opted_out", 1)], 0)
    assert (funnel(again).target, funnel(again).left_out, len(provider.sent)) == (1, 1, 0)
    assert (whole(campaign).target, whole(campaign).left_out, status(campaign)) == (6, 0, Status.SENT)


def _person(run_id: int, seq: int) -> Contact:
    contact_id = current_session().query(Message.contact_id).filter_by(run_id=run_id, seq=seq).scalar()
    return current_session().get_one(Contact, contact_id)


def test_of_several_clicks_one_makes_a_run(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = sent(app, provider, clock)
    campaign_id = campaign.id

    def click(n: int) -> int:
        with app.app_context():
            try:
                return retries.send_again(campaign_id, run_id, OPERATOR, clock.now + dt.timedelta(milliseconds=n))
            except Conflict:
                return 0

    with ThreadPoolExecutor(4) as pool:
        made = [result for result in pool.map(click, range(4)) if result]

    assert len(made) == 1
    work(app, clock)
    assert (len(provider.sent), whole(campaign).accepted) == (3, 5)


def test_an_ended_retry_leaves_the_campaign_as_it_was(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = sent(app, provider, clock)
    again = retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    opening.open_run(again, clock.now)
    actions.end(again, OPERATOR, clock.now)
    assert (the_run(again).verdict, status(campaign)) == ("stopped", Status.SENT)
    assert (whole(campaign).cancelled, whole(campaign).refused) == (3, 1)


def test_a_recurring_campaign_goes_on_waiting_after_a_retry(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.script = failing(None, Outcome.FREQUENCY_LIMIT)
    slot = clock.now
    campaign = waiting(slot, daily(slot), slot)
    run_id = starting.start(campaign.id, slot)
    work(app, clock)
    assert run_id is not None
    provider.script = None
    clock.forward(hours=1)

    retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    assert starting.start(campaign.id, clock.now) is None
    work(app, clock)

    assert (status(campaign), campaign.next_due_at) == (Status.WAITING, slot + dt.timedelta(days=1))
    assert (whole(campaign).accepted, whole(campaign).target) == (2, 2)


def test_a_failed_campaign_has_been_sent_once_its_retry_was_accepted(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.script = failing(Outcome.SIGNATURE_REFUSED, Outcome.SIGNATURE_REFUSED)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (status(campaign), campaign.failure) == (Status.FAILED, "signature_refused")
    provider.script = None
    clock.forward(hours=1)
    retries.send_again(campaign.id, run_id, OPERATOR, clock.now)
    work(app, clock)
    assert (status(campaign), campaign.failure, whole(campaign).accepted) == (Status.SENT, "", 2)
