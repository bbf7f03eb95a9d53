"""Registrations: said by people, compared at a run's start and while it is sent, left out, reminded of."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smsapp.domain import leave_out
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier, carrier_of
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.registration import Light, RegistrationKind, RegistrationState
from smsapp.domain.roles import Role
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.sms_template import Audit, Entry, Purpose
from smsapp.services.campaigns import campaign_review, campaigns, drafts
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.channels import registry
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import actions, opening
from smsapp.services.templates import (
    registration_guard,
    registration_rule,
    registration_statements,
    registrations,
    sms_templates,
)
from smsapp.services.templates.registration_statements import Statement
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import carrier_counts
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session
from smsapp.store.runs import runs
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import funnel, the_run, work
from tests.fakes import FakeClock

ACTOR = Actor("olga")
SIGNATURE = "青禾商城"
NUMBERS = {Carrier.MOBILE: "+8613800138001", Carrier.UNICOM: "+8613000138002", Carrier.TELECOM: "+8618900138003",
           Carrier.OTHER: "+8617000138004"}  # fmt: skip


def say(
    channel_id: int,
    state: RegistrationState,
    now: dt.datetime,
    carriers: Any = (Carrier.UNICOM,),
    kind: RegistrationKind = RegistrationKind.SIGNATURE,
    value: str = SIGNATURE,
    **more: Any,
) -> None:
    registration_statements.say(channel_id, Statement(kind, value, carriers, state, **more), ACTOR, now)


def people() -> None:
    for number in [*NUMBERS.values(), "+8613100138005", "+85291234567"]:
        builders.contact(phone=number)


def confirm(campaign: Campaign, now: dt.datetime) -> int:
    template = builders.existing(current_session().get(SmsTemplate, campaign.template_id))
    campaigns.confirm(campaign.id, campaign.version, campaigns.review_mark(template, None), ACTOR, now)
    return builders.existing(runs.latest(current_session(), campaign.id)).id


@pytest.fixture
def campaign(app: Flask) -> Campaign:
    """A draft to six people: one each of Mobile, Telecom, others and abroad, two of Unicom."""
    people()
    return builders.campaign()


def channel_of(campaign: Campaign) -> int:
    return builders.existing(campaign.channel_id)


def test_the_database_and_the_rules_see_the_same_carrier_in_every_number(app: Flask, now: dt.datetime) -> None:
    numbers = [f"+861{digits:03d}5678901"[:14] for digits in range(300, 1000, 7)] + ["+8613495678901", "+85291234567"]
    for number in numbers:
        builders.contact(phone=number)
    campaign = builders.campaign()
    counts = carrier_counts.count_planned(
        current_session(),
        builders.existing(campaign_review.review(campaign.id, 0, now).letters).chosen,
    )
    expected = [carrier_of(number) for number in dict.fromkeys(numbers)]
    assert counts == {carrier: expected.count(carrier) for carrier in Carrier if carrier in expected}


def test_what_a_person_says_is_shown_with_age_and_a_viewer_may_not_say_it(campaign: Campaign, now: dt.datetime) -> None:
    channel_id = channel_of(campaign)
    say(channel_id, RegistrationState.UNDER_WAY, now, words="资料已交")
    (signature, *_others) = registrations.of_channel(channel_id, now + dt.timedelta(days=3))
    assert [state for _, state, _ in signature.lights] == ["unknown", "under_way", "unknown"]
    entry = signature.by_carrier[Carrier.UNICOM]
    assert (entry.at, entry.reasons, entry.light) == (now, ("资料已交",), Light.AMBER)
    viewer = Actor("vera", 1, role=Role.VIEWER)
    statement = Statement(RegistrationKind.LINK, "t.cn/a", REGISTRARS, RegistrationState.REGISTERED)
    with pytest.raises(Refusal):
        registration_statements.say(channel_id, statement, viewer, now)
    with pytest.raises(Refusal) as caught:
        say(channel_id, RegistrationState.REGISTERED, now, (), value=" ", expires_at=now, remind_days=999)
    assert [problem.place for problem in caught.value.problems] == ["value", "carriers", "expires", "remind"]


def test_links_and_numbers_of_a_text_are_subjects_of_their_own(app: Flask, now: dt.datetime) -> None:
    channel = builders.channel()
    template = builders.template(channel.id, text="戳https://t.cn/A1，详询400-820-8820")
    say(channel.id, RegistrationState.FAILED, now, kind=RegistrationKind.LINK, value="https://t.cn/A1")
    say(channel.id, RegistrationState.REGISTERED, now, REGISTRARS, RegistrationKind.PHONE, "4008208820")
    subjects = registrations.of_template(current_session(), template, now)
    assert [(str(subject.kind), subject.shown) for subject in subjects] == [
        ("signature", f"【{SIGNATURE}】"),
        ("template", template.code),
        ("link", "t.cn/A1"),
        ("phone", "4008208820"),
    ]
    worst = registrations.present(current_session(), template, now)
    assert worst[Carrier.UNICOM].state is RegistrationState.FAILED
    assert worst[Carrier.MOBILE].state is RegistrationState.REGISTERED


def test_the_review_says_in_numbers_whom_a_carrier_may_not_let_through(campaign: Campaign, now: dt.datetime) -> None:
    say(channel_of(campaign), RegistrationState.UNDER_WAY, now)
    say(channel_of(campaign), RegistrationState.REGISTERED, now, (Carrier.MOBILE,))
    review = campaign_review.review(campaign.id, 0, now)
    (warning,) = [problem for problem in review.warnings if problem.code == "carrier_registration"]
    facts = {"n": 2, "planned": 5, "carrier": Carrier.UNICOM, "value": f"【{SIGNATURE}】"}
    assert warning.facts.items() >= facts.items()
    assert review.ready
    lines = builders.existing(review.registration).lines
    assert [(line.carrier, line.n) for line in lines] == [
        (Carrier.MOBILE, 1), (Carrier.UNICOM, 2), (Carrier.TELECOM, 1), (Carrier.OTHER, 1),
    ]  # fmt: skip


def test_a_carrier_that_is_left_out_is_an_exclusion_with_its_own_reason(
    app: Flask, campaign: Campaign, clock: FakeClock
) -> None:
    say(channel_of(campaign), RegistrationState.LAPSED, clock.now)
    draft = drafts.draft_of(campaign)
    draft = type(draft)(**{**draft.__dict__, "left_out_carriers": ["unicom"]})
    drafts.save(campaign.id, campaign.version, draft, ACTOR, clock.now)
    current_session().refresh(campaign)
    review = campaign_review.review(campaign.id, 0, clock.now)
    assert [problem.code for problem in review.warnings if "carrier" in problem.code] == []
    assert builders.existing(review.counts).left_out == {"carrier_left_out": 2}
    run_id = confirm(campaign, clock.now)
    work(app, clock)
    numbers = funnel(run_id)
    assert (numbers.target, numbers.planned, dict(numbers.excluded)) == (6, 4, {"carrier_left_out": 2})


def test_a_red_light_prevents_confirming_only_if_an_administrator_wants_it_so(
    campaign: Campaign, now: dt.datetime
) -> None:
    say(channel_of(campaign), RegistrationState.FAILED, now)
    assert campaign_review.review(campaign.id, 0, now).ready
    registration_rule.set_refuses(True, ACTOR, now)
    assert not campaign_review.review(campaign.id, 0, now).ready
    with pytest.raises(Refusal) as caught:
        confirm(campaign, now)
    assert caught.value.problems[0].code == "carrier_registration"
    registration_rule.set_refuses(False, ACTOR, now)
    assert confirm(campaign, now)


def test_a_red_light_at_a_carrier_whose_people_are_all_left_out_prevents_nothing(
    campaign: Campaign, now: dt.datetime
) -> None:
    # given that everybody of Unicom gets another campaign within the hour and is left out for it
    unicom = builders.segment(kind="static")
    for contact in current_session().query(Contact):
        if carrier_of(contact.phones["$phone"]) is Carrier.UNICOM:
            current_session().add(SegmentMember(segment_id=unicom.id, contact_id=contact.id))
    current_session().commit()
    other = builders.campaign(
        segment_id=unicom.id, channel_id=campaign.channel_id, template_id=campaign.template_id, status="waiting",
        next_due_at=now + dt.timedelta(hours=1),
    )  # fmt: skip
    say(channel_of(campaign), RegistrationState.FAILED, now)
    registration_rule.set_refuses(True, ACTOR, now)
    draft = replace(drafts.draft_of(campaign), leave_out=leave_out.chosen([other.id], same_text=False))
    # when it is saved, reviewed and confirmed
    drafts.save(campaign.id, campaign.version, draft, ACTOR, now)
    current_session().refresh(campaign)
    review = campaign_review.review(campaign.id, 0, now)
    # then the carriers' numbers are those that get a message
    assert builders.existing(review.counts).left_out == {"also_gets": 2}
    assert [line.n for line in builders.existing(review.registration).lines] == [1, 0, 1, 1]
    assert review.ready
    confirm(campaign, now)


def test_a_review_whose_segment_cannot_be_read_shows_lights_without_numbers(
    campaign: Campaign, now: dt.datetime
) -> None:
    say(channel_of(campaign), RegistrationState.UNDER_WAY, now)
    unreadable = builders.segment(rule={"match": "some"})
    draft = replace(drafts.draft_of(campaign), audience=AudienceRule.of(unreadable.id))
    registration = builders.existing(DraftPreview(draft, now).registration)
    assert registration.numbers is None
    assert [state for _, state in registration.lights] == ["unknown", "under_way", "unknown"]


def test_what_turned_red_between_review_and_confirmation_is_looked_at_again(
    campaign: Campaign, now: dt.datetime
) -> None:
    template = builders.existing(current_session().get(SmsTemplate, campaign.template_id))
    say(channel_of(campaign), RegistrationState.REGISTERED, now)
    seen = campaigns.review_mark(template, None)
    say(channel_of(campaign), RegistrationState.LAPSED, now)
    with pytest.raises(Refusal) as caught:
        campaigns.confirm(campaign.id, campaign.version, seen, ACTOR, now)
    assert caught.value.problems[0].code == "registration_changed_since_review"


def held_before_the_freeze(campaign: Campaign, clock: FakeClock, app: Flask) -> int:
    """Confirm it while everything is registered, let Unicom lapse, and let a worker come."""
    say(channel_of(campaign), RegistrationState.REGISTERED, clock.now, REGISTRARS)
    run_id = confirm(campaign, clock.now)
    say(channel_of(campaign), RegistrationState.LAPSED, clock.now)
    work(app, clock)
    run = the_run(run_id)
    assert (run.state, run.hold_reason, run.started_at) == (RunState.HELD, HoldReason.REGISTRATION, None)
    return run_id


def test_a_run_whose_carrier_lapsed_is_held_and_goes_on_to_everybody_once_accepted(
    app: Flask, campaign: Campaign, clock: FakeClock
) -> None:
    run_id = held_before_the_freeze(campaign, clock, app)
    with pytest.raises(Refusal):
        actions.resume(run_id, ACTOR, clock.now)
    hold = builders.existing(registration_guard.held(the_run(run_id), clock.now))
    assert [(lapse.carrier, lapse.n) for lapse in hold.lapses] == [(Carrier.UNICOM, 2)]
    with pytest.raises(Conflict):
        registration_guard.accept(run_id, "other", ACTOR, clock.now)
    registration_guard.accept(run_id, hold.mark, ACTOR, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 6


def test_a_run_whose_carrier_lapsed_goes_on_without_its_numbers(
    app: Flask, campaign: Campaign, clock: FakeClock
) -> None:
    run_id = held_before_the_freeze(campaign, clock, app)
    hold = builders.existing(registration_guard.held(the_run(run_id), clock.now))
    assert hold.may_leave_out
    registration_guard.accept(run_id, hold.mark, ACTOR, clock.now, leave_out=True)
    work(app, clock)
    assert (funnel(run_id).accepted, dict(funnel(run_id).excluded)) == (4, {"carrier_left_out": 2})


def test_a_run_that_was_registered_again_just_goes_on(app: Flask, campaign: Campaign, clock: FakeClock) -> None:
    run_id = held_before_the_freeze(campaign, clock, app)
    say(channel_of(campaign), RegistrationState.TO_VERIFY, clock.now)
    assert builders.existing(registration_guard.held(the_run(run_id), clock.now)).lapses == []
    actions.resume(run_id, ACTOR, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 6


def test_a_lapse_at_a_carrier_without_messages_holds_nothing(app: Flask, clock: FakeClock) -> None:
    builders.contact(phone=NUMBERS[Carrier.MOBILE])
    campaign = builders.campaign()
    run_id = confirm(campaign, clock.now)
    say(channel_of(campaign), RegistrationState.LAPSED, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 1


def test_a_run_that_is_being_sent_is_held_if_messages_for_that_carrier_are_left(
    campaign: Campaign, clock: FakeClock
) -> None:
    run_id = confirm(campaign, clock.now)
    opening.open_run(run_id, clock.now)
    say(channel_of(campaign), RegistrationState.UNREGISTERED, clock.now)
    hold = builders.existing(registration_guard.held(the_run(run_id), clock.now))
    assert (the_run(run_id).hold_reason, hold.may_leave_out) == (HoldReason.REGISTRATION, False)
    assert registration_guard.hold_lapsed(clock.now) == 0


def test_a_term_that_ends_while_it_is_sent_holds_the_run_without_anybody_saying_so(
    campaign: Campaign, clock: FakeClock
) -> None:
    end = clock.now + dt.timedelta(hours=1)
    say(channel_of(campaign), RegistrationState.REGISTERED, clock.now, expires_at=end)
    run_id = confirm(campaign, clock.now)
    opening.open_run(run_id, clock.now)
    assert registration_guard.hold_lapsed(clock.now) == 0
    assert registration_guard.hold_lapsed(end) == 1
    assert the_run(run_id).hold_reason == HoldReason.REGISTRATION


def test_signatures_that_nobody_uses_and_terms_that_end_are_reminded_of(campaign: Campaign, now: dt.datetime) -> None:
    channel_id = channel_of(campaign)
    say(channel_id, RegistrationState.REGISTERED, now, REGISTRARS)
    say(channel_id, RegistrationState.REGISTERED, now, kind=RegistrationKind.LINK, value="t.cn/a",
        expires_at=now + dt.timedelta(days=20), remind_days=10)  # fmt: skip
    assert registrations.lapsing(now) == []
    soon = now + dt.timedelta(days=11)
    assert [(line.value, line.unused) for line in registrations.lapsing(soon)] == [("t.cn/a", False)]
    (_link, signature) = registrations.lapsing(now + dt.timedelta(days=155))
    assert (signature.value, signature.carriers, signature.unused) == (SIGNATURE, REGISTRARS, True)
    assert signature.lapses_at == now + dt.timedelta(days=180)
    # when something is sent with it, half a year begins anew
    confirm(campaign, now + dt.timedelta(days=100))
    run = builders.existing(runs.latest(current_session(), campaign.id))
    opening.open_run(run.id, now + dt.timedelta(days=100))
    assert [line.value for line in registrations.lapsing(now + dt.timedelta(days=155))] == ["t.cn/a"]


def test_a_provider_that_takes_no_mobile_contacts_makes_them_an_error(app: Flask, now: dt.datetime) -> None:
    entry = Entry("", "回访", "疑问请联系13800138000", SIGNATURE, Purpose.NOTIFICATION)
    strict = next(kind.kind for kind in registry.kinds().values() if not kind.takes_mobile_contacts)
    with pytest.raises(Refusal) as caught:
        sms_templates.create(builders.channel(kind=strict).id, entry, Audit.PENDING, ACTOR, now)
    assert [problem.code for problem in caught.value.problems] == ["mobile_contact"]
    assert sms_templates.create(builders.channel().id, entry, Audit.PENDING, ACTOR, now)
