"""The test group: a draft's text to colleagues before anybody confirms it, and one text of every run to seeds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.errors import NotSent as NothingLeft
from smsapp.channels.simulator import Simulator
from smsapp.channels.types import OutboundMessage, Receipt, ReceiptStatus, SubmitRequest, SubmitResult
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.message import Status
from smsapp.services.campaigns import proofs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import erasing
from smsapp.services.reports import verify
from smsapp.services.sending import colleagues, opening, proof_sending, seeds
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import replies
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session, writing
from smsapp.store.runs.proofs import Colleague, Proof, ProofMessage
from tests import builders
from tests.engine import arrive, confirmed, funnel, work
from tests.fakes import FakeClock

ADA = Actor("test")
TEXT = "${name}您好，欢迎回来。"
MAPPING = {"name": {"property": "name", "fallback": None}}
LIN, WANG = "+8613700137001", "+8613700137002"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[OutboundMessage]:
    """What leaves, in order: everything is accepted, each under an id of the provider's."""
    left: list[OutboundMessage] = []

    async def send(self: Simulator, submission: SubmitRequest, http: Any) -> list[SubmitResult]:
        left.extend(submission.messages)
        return [SubmitResult(True, f"p{len(left)}-{message.phone}") for message in submission.messages]

    monkeypatch.setattr(Simulator, "send", send)
    return left


def draft(**columns: Any) -> Campaign:
    """A draft with a variable, to two people; two colleagues, one of whom is a seed."""
    builders.known_property("name")
    builders.contact("u1", builders.phone(1), properties={"name": "王伟"})
    builders.contact("u2", builders.phone(2), properties={"name": "欧阳"})
    channel = builders.channel(**columns)
    template = builders.template(channel.id, text=TEXT, allowed={"name": {"longest": 100}})
    for name, number, is_seed in (("林然", LIN, True), ("王芳", WANG, False)):
        builders.kept(Colleague(name=name, phone=number, is_seed=is_seed, created_at=builders.LONG_AGO))
    return builders.campaign(channel_id=channel.id, template_id=template.id, mapping=MAPPING)


def messages(proof: Proof) -> list[ProofMessage]:
    current_session().expire_all()
    query = sa.select(ProofMessage).where(ProofMessage.proof_id == proof.id).order_by(ProofMessage.id)
    return list(current_session().scalars(query))


def send_due(clock: FakeClock) -> int:
    calls = proof_sending.send_due(clock, lambda seconds: None)
    current_session().commit()
    return calls


def test_a_proof_is_the_text_that_the_run_sends_and_says_when_it_arrived(
    app: Flask, clock: FakeClock, sent: list[OutboundMessage]
) -> None:
    # given a draft, and a colleague who has opted out
    campaign = draft()
    with writing() as session:
        replies.add_opt_outs(
            session,
            [
                {"phone": WANG, "source": "person", "note": "", "channel_id": None, "campaign_id": None}
                | {"at": clock.now, "scope": "all", "signatures": "", "confirmation": ""}
            ],
        )
    # when its proof is sent with the values of the second person, by a button that is pressed twice
    person = builders.existing(current_session().scalar(sa.select(sa.func.max(Contact.id))))
    proof = proofs.send(campaign.id, person, "key", ADA, clock.now)
    assert proofs.send(campaign.id, person, "key", ADA, clock.now).id == proof.id
    assert (send_due(clock), send_due(clock)) == (2, 0)
    # then each colleague has the whole text once, and nothing is confirmed
    assert [(message.phone, message.text) for message in sent] == [
        (LIN, "【青禾商城】欧阳您好，欢迎回来。"),
        (WANG, "【青禾商城】欧阳您好，欢迎回来。"),
    ]
    current_session().refresh(campaign)
    assert campaign.status == CampaignStatus.DRAFT
    # and receipts say when it arrived: one by our reference, one by the provider's id
    clock.now += dt.timedelta(seconds=8)
    by_ref = Receipt(ReceiptStatus.DELIVERED, sent[0].ref)
    by_id = Receipt(ReceiptStatus.UNDELIVERED, provider_ref=f"p2-{WANG}", phone=WANG)
    arrive(campaign.channel_id or 0, clock, by_ref, by_id)
    first, other = messages(proof)
    assert (first.status, first.receipt_at) == (Status.DELIVERED, clock.now)
    assert (other.status, other.reason) == (Status.UNDELIVERED, "unknown")
    # and no person's values are kept once everything is answered
    (story,) = proofs.view(campaign, clock.now).stories
    assert (story.proof.values, story.parts) == ([], 2)
    # when the campaign is sent, the same person gets the same bytes
    proof_texts = {message.text for message in sent}
    del sent[:]
    _campaign, _run = confirmed(
        clock.now, channel_id=campaign.channel_id, template_id=campaign.template_id, mapping=MAPPING, seeds=False
    )
    work(app, clock)
    assert {message.text for message in sent if message.phone == builders.phone(2)} == proof_texts
    assert {message.phone for message in sent} == {builders.phone(1), builders.phone(2)}


def test_a_kill_between_the_claim_and_the_call_sends_nothing_twice(
    app: Flask, clock: FakeClock, sent: list[OutboundMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = draft()
    proof = proofs.send(campaign.id, 0, "key", ADA, clock.now)

    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    # when the worker dies after the claim, before or in the call
    with monkeypatch.context() as patch:
        patch.setattr(proof_sending, "_send", kill)
        with pytest.raises(Killed):
            send_due(clock)
    # then another worker sends the other text only, and the lost one is unconfirmed after its lease
    assert send_due(clock) == 1
    clock.now += dt.timedelta(minutes=10)
    send_due(clock)
    assert [message.phone for message in sent] == [WANG]
    assert [message.status for message in messages(proof)] == [Status.UNCONFIRMED, Status.ACCEPTED]
    assert messages(proof)[0].reason == "worker_lost"


def test_what_surely_did_not_leave_is_tried_again_and_a_lost_answer_is_not(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = draft()
    proof = proofs.send(campaign.id, 0, "key", ADA, clock.now)
    answers: list[Any] = [NothingLeft("down"), RuntimeError("a fault of ours"), [SubmitResult(True, "p1")]]

    async def send(self: Simulator, submission: SubmitRequest, http: Any) -> list[SubmitResult]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(Simulator, "send", send)
    assert send_due(clock) == 1
    clock.now += dt.timedelta(seconds=30)
    assert send_due(clock) == 2
    assert [message.status for message in messages(proof)] == [Status.UNCONFIRMED, Status.ACCEPTED]


def test_quiet_hours_hold_a_marketing_proof(
    app: Flask, clock: FakeClock, sent: list[OutboundMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "quiet_hours_exempt", False)
    campaign = draft(quiet_from="21:00", quiet_until="08:00")
    with writing() as session:
        session.execute(sa.text("UPDATE sms_template SET purpose = 'marketing'"))
    clock.now = dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)  # 23:00 in Shanghai
    proofs.send(campaign.id, 0, "key", ADA, clock.now)
    assert (send_due(clock), proof_sending.has_work(clock.now)) == (0, False)
    (story,) = proofs.view(campaign, clock.now).stories
    assert story.waits_until == dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    clock.now = dt.datetime(2026, 3, 3, 0, 0, 1, tzinfo=dt.UTC)
    assert (send_due(clock), len(sent)) == (2, 2)


def test_seeds_get_one_text_of_each_run_and_are_in_none_of_its_numbers(
    app: Flask, clock: FakeClock, sent: list[OutboundMessage]
) -> None:
    # given a seed, and another one who is in the audience as well
    campaign = draft()
    builders.kept(Colleague(name="王伟", phone=builders.phone(1), is_seed=True, created_at=builders.LONG_AGO))
    choices = {"channel_id": campaign.channel_id, "template_id": campaign.template_id, "mapping": MAPPING}
    _without, plain_run = confirmed(clock.now, **choices, seeds=False)
    _campaign, run_id = confirmed(clock.now, **choices)
    for each in (plain_run, run_id):
        opening.open_run(each, clock.now)
    # when nothing of the run has left, neither does a seed
    assert send_due(clock) == 0
    work(app, clock)
    assert (send_due(clock), send_due(clock)) == (1, 0)
    # then the seed has the first person's text, the one in the audience got one text of each run
    ours = [message for message in sent if message.phone == LIN]
    assert [message.text for message in ours] == ["【青禾商城】王伟您好，欢迎回来。"]
    assert sum(message.phone == builders.phone(1) for message in sent) == 2
    # and the numbers of both runs are the same, and add up
    clock.now += dt.timedelta(seconds=8)
    arrive(campaign.channel_id or 0, clock, Receipt(ReceiptStatus.DELIVERED, ours[0].ref))
    assert funnel(run_id) == funnel(plain_run)
    assert [check for check in verify.verify() if check.broken] == []
    (story,) = seeds.of_runs([run_id, plain_run])
    assert (story.arrivals.sent, story.arrivals.arrived, story.arrivals.seconds) == (1, 1, 8)


def test_only_a_complete_text_to_somebody_is_sent_and_only_before_the_confirmation(
    app: Flask, clock: FakeClock, sent: list[OutboundMessage]
) -> None:
    campaign = draft()
    with writing():
        campaign.mapping = {}
    with pytest.raises(Refusal) as refused:
        proofs.send(campaign.id, 0, "key", ADA, clock.now)
    assert [problem.code for problem in refused.value.problems] == ["variable_unmapped"]
    with writing() as session:
        campaign.mapping = MAPPING
        session.execute(sa.delete(Colleague))
    with pytest.raises(Refusal, match="proof_nobody"):
        proofs.send(campaign.id, 0, "key", ADA, clock.now)
    running, _run = confirmed(clock.now)
    with pytest.raises(Conflict):
        proofs.send(running.id, 0, "key", ADA, clock.now)
    assert sent == []


def test_who_is_erased_leaves_the_group_and_no_values_behind(app: Flask, clock: FakeClock, valkey: object) -> None:
    campaign = draft()
    proof = proofs.send(campaign.id, 0, "key", ADA, clock.now)
    erasing.make_pass(erasing.request([LIN], ADA, clock.now), clock)
    assert [message.status for message in messages(proof)] == [Status.CANCELLED, Status.QUEUED]
    erasing.make_pass(erasing.request(["u1"], ADA, clock.now), clock)
    current_session().expire_all()
    assert [each.phone for each in colleagues.everybody()] == [WANG]
    stored = current_session().get_one(Proof, proof.id)
    assert (stored.values, LIN in {message.phone for message in messages(proof)}) == ([], False)
    assert {message.status for message in messages(proof)} == {Status.CANCELLED}
