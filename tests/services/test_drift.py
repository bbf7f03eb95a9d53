"""A run whose people are not those that were reviewed is held before its first text."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.trust import Origin
from smsapp.services.campaigns import campaigns
from smsapp.services.sending import actions, drift, starting, sweeping
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, daily, funnel, status, the_run, work
from tests.fakes import FakeChannel, FakeClock

REVIEWED = 2819


def confirm(clock: FakeClock, **given: object) -> Campaign:
    """A campaign that a person confirms now."""
    campaign = builders.campaign(**given)
    mark = campaigns.review_mark(_template(campaign), None)
    campaigns.confirm(campaign.id, campaign.version, mark, OPERATOR, clock.now)
    current_session().expire_all()
    return campaign


def _template(campaign: Campaign) -> SmsTemplate:
    return current_session().get_one(SmsTemplate, campaign.template_id)


def latest(campaign: Campaign) -> Run:
    run = runs.latest(current_session(), campaign.id)
    assert run is not None
    return the_run(run.id)


def strangers(count: int, prefix: str, now: dt.datetime, source: str = "") -> None:
    """So many new people with numbers of this country or prefix."""
    for n in range(count):
        number = f"{prefix}{n:07d}"
        current_session().add(
            Contact(
                xwho=f"stranger{number}",
                properties={"$phone": number},
                phones={"$phone": number},
                sources={"$phone": source} if source else {},
                created_at=now,
                updated_at=now,
            )
        )
    current_session().commit()


def test_five_thousand_premium_numbers_that_join_after_the_confirmation_get_nothing(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a campaign confirmed for 2,819 people
    builders.contacts(REVIEWED)
    campaign = confirm(clock)
    # when a public key reports 5,000 more
    clock.forward(seconds=1)
    strangers(5000, "+9791", clock.now, "b:3:1764460800")
    work(app, clock)
    # then its run is held with the difference, and nothing was sent
    run = latest(campaign)
    assert (run.state, run.hold_reason, run.started_at) == (RunState.HELD, HoldReason.AUDIENCE_GREW, None)
    held = drift.held(run)
    assert held is not None
    assert (held.drift.before, held.drift.now, held.drift.more) == (REVIEWED, 7819, 5000)
    assert held.drift.countries == {"+979": 5000}
    assert [(group.newer, group.origin, group.n) for group in held.groups] == [
        (True, Origin.BROWSER, 5000),
        (False, None, REVIEWED),
    ]
    assert (funnel(run.id).planned, provider.sent.total()) == (0, 0)


def test_a_person_who_accepts_sends_to_exactly_what_was_seen_and_more_are_held_again(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(50)
    campaign = confirm(clock)
    strangers(300, "+86139", clock.now)
    work(app, clock)
    run = latest(campaign)
    held = drift.held(run)
    assert held is not None
    # when more come after the person has looked
    strangers(400, "+86137", clock.now)
    with pytest.raises(Conflict):
        drift.accept(run.id, "another", OPERATOR, clock.now)
    drift.accept(run.id, held.mark, OPERATOR, clock.now)
    work(app, clock)
    # then it is held again
    assert (latest(campaign).hold_reason, provider.sent.total()) == (HoldReason.AUDIENCE_GREW, 0)
    again = drift.held(latest(campaign))
    assert again is not None
    assert (again.drift.before, again.drift.now) == (350, 750)
    # and once that is accepted, everybody is written to
    drift.accept(run.id, again.mark, OPERATOR, clock.now)
    work(app, clock)
    assert (funnel(run.id).accepted, status(campaign)) == (750, Status.SENT)


def test_a_run_goes_on_by_itself_once_those_who_were_too_many_are_gone(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(50)
    campaign = confirm(clock)
    strangers(300, "+86139", clock.now)
    work(app, clock)
    current_session().execute(sa.delete(Contact).where(Contact.xwho.startswith("stranger")))
    current_session().commit()
    actions.resume(latest(campaign).id, OPERATOR, clock.now)
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.SENT, 50)


def test_nobody_who_acts_in_time_fails_the_run_with_the_reason(app: Flask, clock: FakeClock) -> None:
    builders.contacts(5)
    campaign = confirm(clock)
    strangers(300, "+86139", clock.now)
    work(app, clock)
    clock.forward(minutes=121)
    sweeping.sweep(clock.now)
    assert (status(campaign), campaign.failure) == (Status.FAILED, HoldReason.AUDIENCE_GREW)


def test_a_few_more_of_the_same_kind_are_no_reason(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(50)
    campaign = confirm(clock)
    builders.contacts(100)
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.SENT, 150)


def test_a_recurring_campaign_is_compared_with_its_run_before(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a campaign that grows by less than the limit every day
    builders.contacts(5)
    schedule = daily(clock.now).as_json()
    campaign = confirm(clock, schedule=schedule, recurring=True)
    for more in (100, 100):
        builders.contacts(more)
        clock.forward(days=1)
        starting.start(campaign.id, clock.now)
        work(app, clock)
        assert status(campaign) == Status.WAITING
    # when it suddenly doubles
    builders.contacts(205)
    clock.forward(days=1)
    starting.start(campaign.id, clock.now)
    work(app, clock)
    # then that run is held
    held = drift.held(latest(campaign))
    assert held is not None
    assert (held.drift.before, held.drift.now) == (205, 410)
