"""What was unconfirmed is settled by a receipt, by our reference or by the provider's id, or by a person, once."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import Receipt, ReceiptStatus, SubmitResult
from smsapp.domain import message
from smsapp.domain.campaign import Action, Status
from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.message import Resolution
from smsapp.domain.outcome import Outcome
from smsapp.services.receipts import unconfirmed
from smsapp.services.reports import message_story, verify
from smsapp.services.sending import sweeping
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.runs import results
from smsapp.store.runs.runs import Message
from smsapp.store.users import AuditEntry
from tests import builders
from tests.engine import OPERATOR, apply, claimed, confirmed, funnel, in_hands, refs, status, the_run, work
from tests.fakes import FakeChannel, FakeClock


def unanswered(app: Flask, provider: FakeChannel, clock: FakeClock, people: int = 3) -> tuple[Campaign, int]:
    """A campaign that is over, with every unconfirmed message; the provider answers again from now on."""
    builders.contacts(people)
    provider.script = lambda submission: OutcomeUnknown("CUT", outcome=Outcome.NETWORK)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == people
    provider.script = None
    clock.forward(minutes=10)
    return campaign, run_id


def true(run_id: int) -> None:
    """The tallies are what the rows say."""
    current_session().commit()
    assert [check.broken for check in verify.verify() if check.run_id == run_id] == [[]]


def test_a_receipt_settles_what_was_unconfirmed_if_the_provider_gave_it_an_id(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    provider.script = lambda submission: [SubmitResult(False, "id-1", code="E", unconfirmed=True)]
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == 1
    apply(clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="id-1"))
    assert (funnel(run_id).unconfirmed, funnel(run_id).delivered) == (0, 1)
    # and what it is billed as counts from then on
    assert the_run(run_id).parts == 1
    true(run_id)


def test_the_cause_says_whether_the_answer_was_lost_or_the_provider_did_not_know(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _campaign, run_id = unanswered(app, provider, clock)
    provider.script = lambda submission: OutcomeUnknown("500", outcome=Outcome.PROVIDER_FAULT)
    _other, other_run = confirmed(clock.now)
    work(app, clock)

    causes = {line.run.id: dict(line.causes) for line in unconfirmed.listing(clock.now).rows}

    assert causes == {run_id: {"no_answer": 3}, other_run: {"provider_fault": 3}}
    assert unconfirmed.total() == 6


def test_what_a_person_counts_as_sent_awaits_its_receipt(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = unanswered(app, provider, clock)

    assert unconfirmed.decide(run_id, Resolution.COUNT_AS_SENT, OPERATOR, clock.now, seqs=[1, 2]) == 2

    after = funnel(run_id)
    assert (after.unconfirmed, after.awaiting, after.parts) == (1, 2, 2)
    story = message_story.story(campaign.id, run_id, 1)
    assert [(decision.settled, decision.by, decision.at) for decision in story.decisions] == [
        ("sent", "ops", clock.now)
    ]
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]))
    assert funnel(run_id).delivered == 1
    true(run_id)
    assert builders.existing(current_session().query(AuditEntry).order_by(AuditEntry.id.desc()).first()).facts == {
        "n": 2
    }


def test_what_a_person_sends_again_leaves_once_more_in_the_same_run(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = unanswered(app, provider, clock)
    assert (status(campaign), funnel(run_id).accepted) == (Status.SENT, 0)

    assert unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now, seen=3) == 3
    true(run_id)
    assert status(campaign) == Status.SENDING
    work(app, clock)

    assert (funnel(run_id).accepted, status(campaign), the_run(run_id).verdict) == (3, Status.SENT, "sent")
    assert max(provider.sent.values()) == 1
    true(run_id)


def test_a_receipt_between_the_decision_and_the_second_try_stops_it(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _campaign, run_id = unanswered(app, provider, clock)
    unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now)

    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[1]))
    true(run_id)
    work(app, clock)
    # and one that comes after it changes nothing it should not
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]), Receipt(ReceiptStatus.UNDELIVERED, refs(run_id)[1]))

    assert (len(provider.sent), funnel(run_id).delivered, funnel(run_id).awaiting) == (2, 2, 1)
    true(run_id)


def test_who_opted_out_meanwhile_is_not_written_to_again(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    _campaign, run_id = unanswered(app, provider, clock, people=2)
    unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now)
    phone = current_session().query(Message.phone).filter_by(run_id=run_id, seq=1).scalar()
    builders.kept(OptOut(phone=phone, source="manual", at=clock.now))
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).cancelled) == (1, 1)
    true(run_id)


def test_what_is_left_unconfirmed_is_listed_no_more_and_a_receipt_still_settles_it(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _campaign, run_id = unanswered(app, provider, clock)

    unconfirmed.decide(run_id, Resolution.KEEP, OPERATOR, clock.now)

    assert (funnel(run_id).unconfirmed, unconfirmed.total()) == (3, 0)
    with pytest.raises(NotFound):
        unconfirmed.of_run(run_id)
    true(run_id)
    apply(clock, *(Receipt(ReceiptStatus.DELIVERED, ref) for ref in refs(run_id)))
    assert (funnel(run_id).unconfirmed, funnel(run_id).delivered) == (0, 3)
    true(run_id)


def test_a_late_answer_settles_what_was_left_but_not_what_was_sent_again(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a worker that was lost with four messages in its hands, and what a person decided about three of them
    _campaign, run_id, dead = in_hands(4, clock, "w1")
    clock.forward(seconds=61)
    sweeping.sweep(clock.now)
    for how, seq in ((Resolution.KEEP, 1), (Resolution.RESEND, 2), (Resolution.COUNT_AS_SENT, 3)):
        unconfirmed.decide(run_id, how, OPERATOR, clock.now, seqs=[seq])
    # when it comes back after all
    answers = [results.MessageResult(seq, message.Status.ACCEPTED, 1) for seq in range(1, 5)]
    with writing() as session:
        assert not results.write_back(session, [results.prepare_results(dead, answers)], int(clock.now.timestamp()))
    # then all but the one that is queued again are settled
    assert (funnel(run_id).accepted, funnel(run_id).queued, the_run(run_id).parts) == (3, 1, 3)
    true(run_id)
    work(app, clock)
    assert (funnel(run_id).accepted, provider.sent.total()) == (4, 1)
    true(run_id)


def test_a_batch_that_is_out_is_passed_over(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given a batch of which one message is unconfirmed, handed out again for the others
    campaign, run_id, batch = in_hands(3, clock, "w1")
    with writing() as session:
        results.write_back(
            session,
            [results.prepare_results(batch, [results.MessageResult(1, message.Status.UNCONFIRMED, 1, "no_answer")])],
            0,
        )
    out = claimed(campaign, clock, "w1")
    # when somebody wants it sent again
    with pytest.raises(Conflict):
        unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now)
    with writing() as session:
        results.write_back(session, [results.prepare_results(out, [])], 0)
    # then it can be decided once the batch is back
    assert unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now) == 1
    true(run_id)
    work(app, clock)
    assert (funnel(run_id).accepted, provider.sent.total()) == (3, 3)


def test_of_two_people_who_decide_at_once_one_wins(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    _campaign, run_id = unanswered(app, provider, clock, people=40)

    def click(how: Resolution) -> int:
        with app.app_context():
            try:
                return unconfirmed.decide(run_id, how, OPERATOR, clock.now, seen=40)
            except Conflict:
                return 0

    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(click, [Resolution.RESEND, Resolution.COUNT_AS_SENT, Resolution.RESEND, Resolution.COUNT_AS_SENT])
        )

    assert sorted(done) == [0, 0, 0, 40]
    work(app, clock)
    assert (funnel(run_id).accepted, max(provider.sent.values(), default=1)) == (40, 1)
    true(run_id)


def test_who_saw_another_number_decides_nothing(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    _campaign, run_id = unanswered(app, provider, clock)
    with pytest.raises(Conflict):
        unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now, seen=2)
    assert funnel(run_id).unconfirmed == 3


def test_nothing_of_a_stopped_campaign_is_sent_again(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = unanswered(app, provider, clock)
    campaign.status = Status.STOPPED
    current_session().commit()
    with pytest.raises(Refusal):
        unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now)
    assert unconfirmed.decide(run_id, Resolution.COUNT_AS_SENT, OPERATOR, clock.now) == 3


def test_unconfirmed_messages_are_found_by_campaign_channel_and_age(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = unanswered(app, provider, clock)
    now, hour = clock.now, dt.timedelta(hours=1)

    assert [line.run.id for line in unconfirmed.listing(now, campaign_id=campaign.id).rows] == [run_id]
    assert not unconfirmed.listing(now, campaign_id=campaign.id + 1).rows
    assert unconfirmed.listing(now, channel_id=campaign.channel_id).rows
    assert not unconfirmed.listing(now, older_than=hour).rows
    assert unconfirmed.listing(now + hour, older_than=hour).rows
    messages = unconfirmed.people(run_id, "no_answer", after=1)
    assert ([recipient.position for recipient in messages.rows], messages.next) == ([2, 3], None)
    with writing() as session:
        assert not campaigns.move(session, campaign.id, Action.DELETE, deleted_at=now), "what was sent stays"
    assert unconfirmed.total() == 3
