"""The same words to the same people again: who a review says has had them, exactly or by a sample."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.services.campaigns import campaign_review, same_text
from smsapp.services.campaigns.same_text import RepeatedText
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import Choices
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message, Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, ledgers

NOW = ledgers.OPENED + dt.timedelta(days=1)


class World:
    """A draft for everybody, and runs of other campaigns that had its text, one contact for each message."""

    def __init__(self) -> None:
        self.draft: Campaign = builders.campaign(name="再发")
        self.template: SmsTemplate = current_session().get_one(SmsTemplate, self.draft.template_id)
        self.snapshot = replace(ledgers.SNAPSHOT, text=self.template.text, signature=self.template.signature)

    def run(self, name: str, *lots: ledgers.Lot, slot: dt.datetime = ledgers.OPENED, **given: Any) -> Run:
        campaign = ledgers.campaign(name=name)
        over = {"state": RunState.DONE, "verdict": "sent", "finished_at": slot, "snapshot": self.snapshot}
        return ledgers.run(campaign, lots, {}, slot, **(over | given))

    def again(self) -> RepeatedText | None:
        draft = self.draft
        chosen = audience.describe(audience_of(draft), Choices.of(draft), NOW)
        return same_text.sent_lately(chosen, audience.tally(chosen).planned, self.template, NOW, draft.id)


@pytest.fixture
def world(app: Flask) -> World:
    return World()


def test_those_who_got_or_may_get_the_text_are_counted_once_and_campaigns_are_named(world: World) -> None:
    lots = [(Status.DELIVERED, "", "", 3), (Status.UNDELIVERED, "switched_off", "", 2), (Status.REFUSED, "x", "", 2)]
    first = world.run("第一次", *lots, (Status.CANCELLED, "ended", "", 1))
    second = world.run("还在发", (Status.QUEUED, "", "", 2), state=RunState.SENDING, finished_at=None)
    # One of the first run is written to a second time, and three people never were.
    phone = current_session().get_one(Message, (first.id, 1)).phone
    current_session().get_one(Message, (second.id, 1)).phone = phone
    current_session().commit()
    builders.contacts(3)

    again = world.again()

    assert again is not None
    assert (again.n, again.sampled) == (4, False)
    assert [campaign.name for campaign in again.campaigns] == ["还在发", "第一次"]


def test_other_words_another_signature_and_long_ago_do_not_count(world: World) -> None:
    sent = (Status.DELIVERED, "", "", 2)
    world.run("别的字", sent, snapshot=replace(world.snapshot, text="别的"))
    world.run("别的签名", sent, snapshot=replace(world.snapshot, signature="别家"))
    world.run("早了", sent, slot=NOW - same_text.LATELY - dt.timedelta(seconds=1))
    builders.contacts(2)

    assert world.again() is None


def test_a_recurring_campaign_is_not_warned_of_itself(world: World) -> None:
    ledgers.run(world.draft, [(Status.DELIVERED, "", "", 2)], {}, snapshot=world.snapshot)

    assert world.again() is None


def test_of_a_large_audience_a_sample_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("第一次", (Status.DELIVERED, "", "", 40))
    builders.contacts(40)
    monkeypatch.setattr(same_text, "MOST_ASKED", 20)

    again = world.again()

    assert again is not None
    assert (again.n, again.sampled) == (40, True)


def test_the_review_warns_once_and_the_campaign_can_be_confirmed(world: World) -> None:
    world.run("第一次", (Status.DELIVERED, "", "", 4))

    review = campaign_review.review(world.draft.id, 0, NOW)

    warned = [problem for problem in review.warnings if problem.code == "same_text_lately"]
    assert [problem.facts for problem in warned] == [{"n": 4, "days": 7}]
    assert review.ready
