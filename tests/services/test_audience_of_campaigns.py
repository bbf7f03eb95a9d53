"""A campaign for several segments from its draft to its frozen run; and one that leaves out whom it has reached."""

from __future__ import annotations

import datetime as dt

from flask import Flask

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.ledger_condition import LedgerCondition, LedgerOperator
from smsapp.domain.run import HoldReason
from smsapp.domain.segment import Group
from smsapp.services.campaigns import campaigns
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import opening
from smsapp.store.campaigns.campaigns import audience_of
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from tests import builders
from tests.engine import confirmed, funnel
from tests.fakes import FakeClock


def test_a_recurring_campaign_leaves_out_those_it_wrote_to_before(app: Flask, clock: FakeClock) -> None:
    builders.known_property("$phone")
    builders.contacts(5)
    everybody, reached = builders.segment(), builders.segment(name="已发过")
    rule = AudienceRule(include=(everybody.id,), exclude=(reached.id,))
    campaign, first_id = confirmed(clock.now, audience=rule.as_json(), segment_id=None, recurring=True)
    condition = LedgerCondition(LedgerOperator.SENT, campaign.id)
    reached.rule = Group(children=(condition,)).as_json()
    current_session().commit()

    assert opening.open_run(first_id, clock.now)
    builders.contacts(2)
    clock.now += dt.timedelta(days=1)
    with writing() as session:
        second_id = runs.add_run(session, campaign, clock.now, clock.now)
    assert second_id is not None
    assert opening.open_run(second_id, clock.now)

    first, second = funnel(first_id), funnel(second_id)
    assert (first.target, first.planned, dict(first.excluded)) == (5, 5, {})
    assert (second.target, second.planned) == (7, 2)
    assert dict(second.excluded) == {ExclusionReason.EXCLUDED_SEGMENT: 5}
    run = current_session().get_one(Run, second_id)
    assert audience_of(run) == rule
    assert run.snapshot.segment == f"{everybody.name} ∖ 已发过"


def test_a_run_whose_segment_cannot_be_answered_is_held_for_a_person(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    unreadable = builders.segment(rule={"match": "some"})
    _campaign, run_id = confirmed(clock.now, segment_id=unreadable.id)

    assert opening.open_run(run_id, clock.now)

    run = current_session().get_one(Run, run_id, populate_existing=True)
    assert (run.state, run.hold_reason, run.target) == ("held", HoldReason.SEGMENT_UNREADABLE, 0)


def test_a_copy_does_without_segments_that_are_gone(app: Flask, clock: FakeClock) -> None:
    present, gone = builders.segment(), builders.segment()
    rule = AudienceRule(include=(present.id, gone.id))
    sent = builders.campaign(status="sent", audience=rule.as_json(), segment_id=None)
    current_session().delete(current_session().get_one(Segment, gone.id))
    current_session().commit()

    copy = campaigns.save_as(sent.id, "再来", Actor("olga"), clock.now)

    assert copy.lost
    assert audience_of(campaigns.get(copy.id)) == AudienceRule.of(present.id)


def test_what_the_version_before_has_written_is_one_segment(app: Flask) -> None:
    campaign = builders.campaign(audience=None)
    assert audience_of(campaign) == AudienceRule.of(campaign.segment_id)
