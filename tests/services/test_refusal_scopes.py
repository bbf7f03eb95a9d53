"""Refusals of marketing or of one signature: who still gets which text, at the freeze and until the claim."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.types import Reply as Incoming
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.errors import Refusal
from smsapp.domain.optout import OptOutSource
from smsapp.domain.run import CancelReason
from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies
from smsapp.services.sending import opening
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.contacts.replies import refusing
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims
from smsapp.store.users import AuditEntry
from tests import audiences, builders
from tests.engine import confirmed, funnel, reasons, work
from tests.fakes import FakeChannel, FakeClock

ACTOR = Actor("olga")
MARKETING, OURS, THEIRS = (
    Coverage(Scope.MARKETING),
    Coverage(Scope.SIGNATURE, ("青禾商城",)),
    Coverage(Scope.SIGNATURE, ("别家",)),
)
NUMBERS = [builders.phone(n) for n in range(4)]


def refuse(number: str, refused: Coverage, now: dt.datetime) -> bool:
    with writing() as session:
        return opt_outs.record(session, number, OptOutSource.PERSON, now, refused=refused)


def campaign_of(purpose: str, clock: FakeClock) -> tuple[Campaign, int]:
    channel = builders.channel()
    template = builders.template(channel.id, purpose=purpose)
    return confirmed(clock.now, channel_id=channel.id, template_id=template.id)


@pytest.mark.parametrize(
    ("purpose", "left_out"), [("marketing", {0, 1, 2}), ("notification", {0, 2})], ids=["marketing", "notification"]
)
def test_a_text_reaches_those_who_have_not_refused_such_a_text(
    app: Flask, provider: FakeChannel, clock: FakeClock, purpose: str, left_out: set[int]
) -> None:
    # given people who have refused everything, marketing, this signature and another one
    for number, refused in zip(NUMBERS, (EVERYTHING, MARKETING, OURS, THEIRS), strict=True):
        builders.contact("", number)
        refuse(number, refused, clock.now)
    campaign, run_id = campaign_of(purpose, clock)
    before = audiences.counts(
        audience_of(campaign), campaign.channel_id, campaign.template_id, campaign.mapping, now=clock.now
    )
    # when
    work(app, clock)
    # then
    assert set(provider.texts) == {number for n, number in enumerate(NUMBERS) if n not in left_out}
    assert funnel(run_id).excluded == before.left_out == {ExclusionReason.OPTED_OUT: len(left_out)}


def test_who_refuses_after_the_freeze_gets_no_such_text(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given a marketing run that is frozen
    people = [row.phones["$phone"] for row in builders.contacts(5)]
    _campaign, run_id = campaign_of("marketing", clock)
    opening.open_run(run_id, clock.now)
    # when people refuse something before it is sent
    for number, refused in zip(people, (EVERYTHING, MARKETING, OURS, THEIRS), strict=False):
        refuse(number, refused, clock.now)
    work(app, clock)
    # then those get none who refused such a text
    assert set(provider.texts) == set(people[3:])
    assert reasons(run_id) == {("cancelled", CancelReason.OPTED_OUT): 3}
    assert funnel(run_id).accepted == 2


def test_no_refusal_is_overtaken_by_a_claim(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given a marketing run in small batches
    people = sorted(row.phones["$phone"] for row in builders.contacts(240))
    _campaign, run_id = campaign_of("marketing", clock)
    opening.open_run(run_id, clock.now)
    kinds = (MARKETING, THEIRS, OURS)
    wanted = {number: kinds[n % 3] for n, number in enumerate(reversed(people)) if n % 2}
    kept: list[str] = []
    claimed: list[tuple[set[str], list[str]]] = []

    def refuse_all() -> None:
        with app.app_context():
            for number, refused in wanted.items():
                refuse(number, refused, clock.now)
                kept.append(number)

    def claim_all() -> None:
        until = clock.now + dt.timedelta(minutes=1)
        with app.app_context():
            while True:
                before = set(kept)
                with writing() as session:
                    batches = claims.claim_batches(session, [run_id], 0, "w1", until, 1, {run_id: 10})
                if not batches:
                    return
                claimed.append((before, [phone for _seq, phone, _params in batches[0].rows]))

    # when two processes refuse and claim at the same time
    threads = [threading.Thread(target=target) for target in (refuse_all, claim_all)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then whatever was refused before a claim is not in it, whatever covers no such text is, and all adds up
    texts = [number for _before, numbers in claimed for number in numbers]
    covering = {number for number, refused in wanted.items() if refused is not THEIRS}
    assert not [number for before, numbers in claimed for number in numbers if number in before & covering]
    assert set(people) - set(texts) <= covering
    assert len(texts) == len(set(texts))
    cancelled = reasons(run_id).get(("cancelled", CancelReason.OPTED_OUT), 0)
    assert len(texts) + cancelled == 240


def listed() -> tuple[str, str]:
    current_session().expire_all()
    (row,) = opt_outs.find_page()
    return row.scope, row.signatures


def test_a_number_that_refuses_again_refuses_both(app: Flask, clock: FakeClock) -> None:
    number = NUMBERS[0]
    steps: list[tuple[Coverage, bool, tuple[str, str]]] = [
        (OURS, True, ("signature", "【青禾商城】")),
        (OURS, False, ("signature", "【青禾商城】")),
        (THEIRS, True, ("signature", "【青禾商城】【别家】")),
        (MARKETING, True, ("marketing", "【青禾商城】【别家】")),
        (OURS, False, ("marketing", "【青禾商城】【别家】")),
        (EVERYTHING, True, ("everything", "")),
        (MARKETING, False, ("everything", "")),
    ]
    for refused, is_wider, state in steps:
        assert refuse(number, refused, clock.now) is is_wider
        assert listed() == state


def test_a_us_number_refuses_everything_whatever_was_meant(app: Flask, clock: FakeClock) -> None:
    builders.template(builders.channel().id)
    for number, refused in (("+12025550123", MARKETING), ("+12025550124", OURS)):
        refuse(number, refused, clock.now)
        assert refusing(current_session(), [number], marketing=False, signature="x") == {number}
    row = opt_outs.find_page()[0]
    with pytest.raises(Refusal) as caught:
        opt_outs.change(row.id, MARKETING, "said so", ACTOR, clock.now)
    assert [problem.code for problem in caught.value.problems] == ["scope_always_everything"]


def taken(channel: Any, text: str, phone: str, now: dt.datetime) -> None:
    with writing() as session:
        replies.take(session, channel.id, None, 0, Incoming(phone=phone, text=text), now)


@pytest.mark.parametrize(
    ("meaning", "state"),
    [
        ("everything", ("everything", "")),
        ("marketing", ("marketing", "")),
        ("signature", ("signature", "【青禾商城】")),
    ],
)
def test_a_reply_refuses_what_the_channel_says_it_means(
    app: Flask, provider: FakeChannel, clock: FakeClock, meaning: str, state: tuple[str, str]
) -> None:
    builders.contact("", NUMBERS[0])
    channel = builders.channel(refusal_scope=meaning)
    confirmed(clock.now, channel_id=channel.id, template_id=builders.template(channel.id).id)
    work(app, clock)
    taken(channel, "TD", NUMBERS[0], clock.now)
    assert listed() == state


def test_a_reply_to_no_text_of_ours_refuses_everything(app: Flask, clock: FakeClock) -> None:
    taken(builders.channel(refusal_scope="signature"), "TD", NUMBERS[0], clock.now)
    assert listed() == ("everything", "")


def test_a_person_sets_what_a_number_refuses_and_says_why(app: Flask, clock: FakeClock) -> None:
    builders.template(builders.channel().id)
    opt_outs.add(NUMBERS[0], "", ACTOR, clock.now)
    (row,) = opt_outs.find_page()
    for refused, reason, code in (
        (MARKETING, " ", "scope_reason_missing"),
        (Coverage(Scope.SIGNATURE), "x", "scope_signature_missing"),
        (THEIRS, "x", "scope_signature_unknown"),
    ):
        with pytest.raises(Refusal) as caught:
            opt_outs.change(row.id, refused, reason, ACTOR, clock.now)
        assert [problem.code for problem in caught.value.problems] == [code]
    opt_outs.change(row.id, OURS, "电话里说只拒收这个签名", ACTOR, clock.now)
    assert listed() == ("signature", "【青禾商城】")
    line = builders.existing(current_session().query(AuditEntry).order_by(AuditEntry.id.desc()).first())
    assert (line.action, line.facts) == (
        "edit",
        {"was": "everything", "scope": "signature 【青禾商城】", "reason": "电话里说只拒收这个签名"},
    )


def test_a_file_says_what_each_number_refuses(app: Flask, clock: FakeClock) -> None:
    builders.template(builders.channel().id)
    content = (
        "手机号,范围,签名\n13800138001,,\n13800138002,营销,\n13800138003,,青禾商城\n13800138004,signature,【青禾商城】\n"
        "13800138005,签名,\n13800138006,,没有的\n13800138007,sometimes,\n13800138003,marketing,\n13800138003,marketing,\n"
    )
    done = opt_outs.take_file(content.encode(), ACTOR, clock.now)
    assert (done.added, done.known, done.refused) == (5, 1, 3)
    assert [(row, problem.code) for row, problem in done.complaints] == [
        (6, "scope_signature_missing"),
        (7, "scope_signature_unknown"),
        (8, "scope_unreadable"),
    ]
    assert {(row.phone[-1], row.scope, row.signatures) for row in opt_outs.find_page()} == {
        ("1", "everything", ""),
        ("2", "marketing", ""),
        ("3", "marketing", "【青禾商城】"),
        ("4", "signature", "【青禾商城】"),
    }
