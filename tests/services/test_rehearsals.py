"""The rehearsal of a campaign: what it counts is what is sent, and what has changed makes it stale."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.domain.rehearsal import Rehearsal, RehearsalState
from smsapp.domain.run import RunState
from smsapp.services.campaigns import rehearsals
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import draft_of
from smsapp.services.platform.audit_log import Actor
from smsapp.store import queue
from smsapp.store.campaigns import rehearsals as store
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.campaigns.rehearsals import RehearsalRow
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Message
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, ledgers
from tests.engine import confirmed, funnel, the_run, work
from tests.fakes import FakeChannel, FakeClock

BY = Actor("ops")
MAPPING = {"name": {"property": "name", "fallback": "会员"}, "gift": {"property": "gift", "fallback": "券"}}
TEXT = "尊敬的${name}，您的${gift}已到账，请在本周内到任意门店使用，逾期作废，欢迎光临。"


@pytest.fixture
def world(app: Flask) -> dict[str, Any]:
    """A channel with a price, a template with two variables, and people of every kind."""
    channel = builders.channel(price="0.045")
    template = builders.template(channel.id, text=TEXT, allowed={"name": {"longest": 200}, "gift": {"longest": 200}})
    builders.contact("short", builders.phone(1), properties={"name": "小明"})
    builders.contact("long name", builders.phone(2), properties={"name": "欧阳" * 40, "gift": "券"})
    builders.contact("long gift", builders.phone(3), properties={"name": "小红", "gift": "礼盒" * 60})
    builders.contact("same number", builders.phone(1), properties={"name": "欧阳" * 70})
    builders.contact("emoji", builders.phone(4), properties={"name": "😀" * 20})
    builders.contact("abroad", "+14155550100", properties={"name": "Ann"})
    builders.contact("no number")
    builders.contact("invalid", "")
    return {"channel_id": channel.id, "template_id": template.id, "mapping": MAPPING}


def rehearsed(campaign: Campaign, now: dt.datetime) -> Rehearsal:
    result, _contact_id = rehearsals.rehearse(DraftPreview(draft_of(campaign), now, own_id=campaign.id))
    return result


def test_what_is_rehearsed_is_what_is_sent(
    world: dict[str, Any], app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a campaign that is about to be sent
    campaign, run_id = confirmed(clock.now, **world)
    # when every text is rendered before, and it is sent
    before = rehearsed(campaign, clock.now)
    work(app, clock)
    # then people, reasons, parts and money are the same, to the last one
    after, run = funnel(run_id), the_run(run_id)
    assert (before.target, before.planned, dict(before.left_out)) == (after.target, after.planned, dict(after.excluded))
    assert before.left_out[ExclusionReason.DUPLICATE_NUMBER] == 1
    rows = current_session().execute(
        sa.select(Message.parts, sa.func.count()).where(Message.run_id == run_id).group_by(Message.parts)
    )
    assert before.spread == dict(sorted((parts, n) for parts, n in rows))
    assert before.parts == run.parts > after.planned
    assert before.cost.amount == Decimal("0.045") * run.parts
    assert before.longest == max(len(text.encode("utf-16-le")) // 2 for text in provider.texts.values())


def test_pushed_texts_are_counted_by_the_variable_with_most_room(world: dict[str, Any], clock: FakeClock) -> None:
    result = rehearsed(builders.campaign(**world), clock.now)

    assert result.pushed == sum(n for parts, n in result.spread.items() if parts > 1)
    assert result.pushed_by == {"name": 2, "gift": 1}


def test_other_runs_of_the_channel_put_the_end_off(world: dict[str, Any], clock: FakeClock) -> None:
    # given a slow channel with a run that still has 3 messages to send, and one that a person has paused
    with writing() as session:
        session.get_one(ChannelRow, world["channel_id"]).rate = 1
    campaign = builders.campaign(**world)
    alone = rehearsed(campaign, clock.now)
    other = ledgers.campaign(channel_id=world["channel_id"])
    ledgers.run(other, [(Status.QUEUED, "", "", 3)], {})
    paused = ledgers.campaign(channel_id=world["channel_id"])
    ledgers.run(paused, [(Status.QUEUED, "", "", 9)], {}, state=RunState.HELD, hold_reason="paused")
    # when
    beside = rehearsed(campaign, clock.now)
    # then of the 3 people more in its own audience and the 3 of the other run it knows
    assert alone.ends is not None
    assert beside.ends is not None
    assert (alone.ahead, beside.ahead) == (0, 3)
    assert (beside.ends - clock.now).total_seconds() == beside.planned + 3


def test_a_small_audience_is_rehearsed_at_once_and_a_change_makes_it_stale(
    world: dict[str, Any], clock: FakeClock
) -> None:
    campaign = builders.campaign(**world)
    view = rehearsals.begin(campaign.id, BY, clock.now)
    assert view is not None
    assert view.result is not None
    assert (view.running, view.stale, view.result.planned) == (False, False, 5)
    assert view.contact_id is not None

    with writing() as session:
        session.get_one(SmsTemplate, world["template_id"]).text = TEXT + "回复T退订"

    stale = rehearsals.view(campaign.id)
    assert stale is not None
    assert stale.stale
    again = rehearsals.begin(campaign.id, BY, clock.now)
    assert again is not None
    assert not again.stale


def test_a_large_one_is_made_by_a_worker_with_progress(
    world: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsals, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(rehearsals, "ADVANCE", 1)
    noted: list[int] = []
    advance = store.advance

    def noting(session: Session, campaign_id: int, done: int, until: dt.datetime) -> None:
        noted.append(done)
        advance(session, campaign_id, done, until)

    monkeypatch.setattr(store, "advance", noting)
    campaign = builders.campaign(**world)

    asked = rehearsals.begin(campaign.id, BY, clock.now)
    assert asked is not None
    assert (asked.running, asked.whole, asked.result) == (True, 8, None)
    # when a worker takes it, and another one, too
    rehearsals.run(campaign.id, clock)
    rehearsals.run(campaign.id, clock)

    view = rehearsals.view(campaign.id)
    assert view is not None
    assert view.result is not None
    assert (view.running, view.done, view.result.target) == (False, 8, 8)
    assert noted == [8]


def test_a_rehearsal_that_was_lost_is_asked_for_again(
    world: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsals, "MOST_AT_ONCE", 2)
    asked: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda *given: asked.append(given))
    campaign = builders.campaign(**world)

    rehearsals.begin(campaign.id, BY, clock.now)
    rehearsals.begin(campaign.id, BY, clock.now)
    assert len(asked) == 1
    rehearsals.begin(campaign.id, BY, clock.now + rehearsals.LOST + dt.timedelta(seconds=1))
    assert len(asked) == 2


def test_one_that_fails_says_so(world: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = builders.campaign(**world)
    monkeypatch.setattr(rehearsals, "measure", lambda *_given: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        rehearsals.begin(campaign.id, BY, clock.now)

    current_session().expire_all()
    assert current_session().get_one(RehearsalRow, campaign.id).state == RehearsalState.FAILED


def test_what_was_stored_is_read_back(world: dict[str, Any], clock: FakeClock) -> None:
    result = rehearsed(builders.campaign(**world), clock.now)
    assert Rehearsal.from_json(result.as_json()) == result


def test_an_incomplete_draft_is_not_rehearsed(app: Flask, clock: FakeClock) -> None:
    assert rehearsals.begin(builders.campaign(template_id=None).id, BY, clock.now) is None


def test_a_run_that_began_before_the_rehearsal_is_not_compared_with_it(world: dict[str, Any], clock: FakeClock) -> None:
    campaign = builders.campaign(**world)
    rehearsals.begin(campaign.id, BY, clock.now)
    second = dt.timedelta(seconds=1)
    assert rehearsals.of_run(campaign.id, campaign.version, clock.now - second) is None
    assert rehearsals.of_run(campaign.id, campaign.version + 1, clock.now + second) is None
    assert rehearsals.of_run(campaign.id, campaign.version, clock.now + second) is not None
