"""A campaign that is large needs a second person, and whatever is changed afterwards needs one again."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.approval import ApprovalRule, ApprovalStanding, Verdict
from smsapp.domain.approval_digest import COVERED
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Status
from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.leave_out import LeaveKind, LeaveOut
from smsapp.domain.rights import Forbidden
from smsapp.domain.roles import Role
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import campaign_approvals, campaigns, drafts
from smsapp.services.campaigns.campaign_approvals import ApprovalState
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.contacts import segments
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import approval_guard, approval_rule, starting
from smsapp.store.campaigns.approvals import Approval
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import User
from tests import builders
from tests.engine import OPERATOR, daily, status, the_run, work
from tests.fakes import FakeChannel, FakeClock

PEOPLE = 20
ANOTHER = {"name": {"fixed": "您"}}
"""Another mapping, which changes nobody's text and leaves nobody out."""


def actor(role: Role, **columns: Any) -> Actor:
    person = builders.person(role=role, **columns)
    return Actor(person.login, person.id, role=role)


@pytest.fixture
def olga(app: Flask) -> Actor:
    return actor(Role.OPERATOR)


@pytest.fixture
def ann(app: Flask) -> Actor:
    return actor(Role.APPROVER)


@pytest.fixture
def rule(app: Flask, now: dt.datetime) -> ApprovalRule:
    wanted = ApprovalRule(True, PEOPLE, None, 10)
    approval_rule.save(wanted, OPERATOR, now)
    return wanted


def draft_by(author: Actor, people: int = PEOPLE, **columns: Any) -> Campaign:
    builders.contacts(people)
    return builders.campaign(created_by=author.user_id, updated_by=author.user_id, **columns)


def confirm(campaign: Campaign, by: Actor, now: dt.datetime) -> Status:
    current_session().expire_all()
    template = current_session().get_one(SmsTemplate, campaign.template_id)
    return campaigns.confirm(campaign.id, campaign.version, campaigns.review_mark(template, None), by, now)


def seen_by(reader: Actor, campaign: Campaign, now: dt.datetime) -> ApprovalState:
    current_session().expire_all()
    campaign = current_session().get_one(Campaign, campaign.id)
    return campaign_approvals.state(DraftPreview(drafts.draft_of(campaign), now), campaign, reader)


def request_of(campaign: Campaign) -> Approval:
    current_session().expire_all()
    query = sa.select(Approval).where(Approval.campaign_id == campaign.id).order_by(Approval.id.desc()).limit(1)
    return current_session().scalars(query).one()


def decide(campaign: Campaign, by: Actor, now: dt.datetime, verdict: Verdict = Verdict.APPROVED, **given: Any) -> None:
    request = request_of(campaign)
    words, n_runs = given.get("words", "fine"), given.get("n_runs", 1)
    campaign_approvals.decide(request.id, request.digest, verdict, words, n_runs, by, now)


def approved(campaign: Campaign, author: Actor, approver: Actor, now: dt.datetime, **given: Any) -> None:
    campaign_approvals.ask(campaign.id, campaign.version, author, now)
    decide(campaign, approver, now, **given)


def codes(refused: pytest.ExceptionInfo[Refusal]) -> list[str]:
    return [problem.code for problem in refused.value.problems]


def test_without_the_rule_nothing_changes(app: Flask, olga: Actor, clock: FakeClock) -> None:
    campaign = draft_by(olga)
    assert seen_by(olga, campaign, clock.now).standing is ApprovalStanding.NOT_NEEDED
    assert confirm(campaign, olga, clock.now) is Status.SENDING


def test_a_small_campaign_needs_nobody(rule: ApprovalRule, olga: Actor, clock: FakeClock) -> None:
    campaign = draft_by(olga, PEOPLE - 1)
    with pytest.raises(Refusal) as refused:
        campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    assert codes(refused) == ["approval_not_needed"]
    assert confirm(campaign, olga, clock.now) is Status.SENDING


def test_a_large_campaign_goes_out_once_a_second_person_has_approved_it(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    # given a campaign of the size that needs a second person
    campaign = draft_by(olga)
    with pytest.raises(Refusal) as refused:
        confirm(campaign, olga, clock.now)
    assert codes(refused) == ["approval_missing"]
    # when its author asks and an approver approves it
    short = campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    assert [(line.short, line.own) for line in campaign_approvals.waiting_for_approval(ann)] == [(short, False)]
    assert seen_by(ann, campaign, clock.now).may_decide
    with pytest.raises(Refusal):
        confirm(campaign, olga, clock.now)
    decide(campaign, ann, clock.now)
    # then its author confirms it, and it is sent
    assert campaign_approvals.waiting_for_approval(ann) == []
    assert confirm(campaign, olga, clock.now) is Status.SENDING
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.SENT, PEOPLE)
    assert request_of(campaign).used == 1


def test_neither_author_nor_editor_nor_operator_nor_command_can_approve(
    rule: ApprovalRule, ann: Actor, olga: Actor, clock: FakeClock
) -> None:
    # given a campaign of an approver, edited by another approver, and asked for by a third one
    editor, asker, free = actor(Role.APPROVER), actor(Role.ADMINISTRATOR), actor(Role.ADMINISTRATOR)
    campaign = draft_by(ann)
    draft = drafts.draft_of(campaign)
    version = drafts.save(campaign.id, campaign.version, replace(draft, name="anders"), editor, clock.now)
    drafts.save(campaign.id, version, replace(draft, name="wieder"), olga, clock.now)
    current_session().expire_all()
    campaign_approvals.ask(campaign.id, campaign.version, asker, clock.now)
    # then none of them can approve it
    for person in (ann, editor, asker, OPERATOR):
        with pytest.raises(Refusal) as refused:
            decide(campaign, person, clock.now)
        assert codes(refused) == ["approval_by_author"]
        assert not seen_by(person, campaign, clock.now).may_decide
    with pytest.raises(Forbidden):
        decide(campaign, olga, clock.now)
    decide(campaign, free, clock.now)


def test_it_is_returned_with_words_and_asked_for_anew(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    campaign = draft_by(olga)
    campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    with pytest.raises(Refusal) as refused:
        decide(campaign, ann, clock.now, Verdict.RETURNED, words=" ")
    assert codes(refused) == ["approval_words_missing"]
    decide(campaign, ann, clock.now, Verdict.RETURNED, words="请改称呼")
    state = seen_by(olga, campaign, clock.now)
    assert (state.standing, state.request and state.request.words) == (ApprovalStanding.RETURNED, "请改称呼")
    with pytest.raises(Refusal):
        confirm(campaign, olga, clock.now)
    approved(campaign, olga, ann, clock.now)
    assert confirm(campaign, olga, clock.now) is Status.SENDING


def test_of_two_approvers_exactly_one_decides(rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock) -> None:
    campaign = draft_by(olga)
    campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    decide(campaign, ann, clock.now)
    with pytest.raises(Conflict):
        decide(campaign, actor(Role.APPROVER), clock.now, Verdict.RETURNED)
    assert request_of(campaign).decided_by == ann.user_id


def test_an_approver_who_lost_the_role_has_approved_nothing(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    with writing() as session:
        session.get_one(User, ann.user_id).role = Role.OPERATOR
    state = seen_by(olga, campaign, clock.now)
    assert (state.standing, list(state.changed)) == (ApprovalStanding.VOID, ["approver"])
    with pytest.raises(Refusal):
        confirm(campaign, olga, clock.now)


# -- whatever changes ------------------------------------------------------------------------------------------------


def other_value(name: str, campaign: Campaign) -> Any:
    """Another value for this field of a campaign; of a field that is new one of the same type."""
    made: dict[str, Callable[[], Any]] = {
        "audience": lambda: AudienceRule.of(builders.segment().id).as_json(),
        "leave_out": lambda: [LeaveOut(LeaveKind.SAME_TEXT, days=7).as_json()],
        "left_out_carriers": lambda: [Carrier.UNICOM.value],
        "channel_id": lambda: builders.channel().id,
        "template_id": lambda: builders.template(campaign.channel_id or 0).id,
        "second_channel_id": lambda: builders.channel().id,
        "second_template_id": lambda: builders.template(campaign.channel_id or 0).id,
    }
    if name in made:
        return made[name]()
    if name == "schedule":
        schedule = Schedule(Kind.ONCE, "Asia/Shanghai", start=dt.date(2026, 4, 1), time=dt.time(10))
        return schedule.as_json()
    value = getattr(campaign, name)
    if isinstance(value, bool):
        return not value
    others: dict[type, Any] = {int: 7, str: "10:00", dict: {"other": [1]}, list: [1]}
    moment = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    return others.get(type(value) if value is not None else Campaign.__table__.c[name].type.python_type, moment)


@pytest.mark.parametrize("name", COVERED)
def test_each_field_of_a_draft_changed_alone_voids_the_approval(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock, name: str
) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    value = other_value(name, campaign)
    with writing() as session:
        setattr(session.get_one(Campaign, campaign.id), name, value)
    # then the page names the field, and no approval counts any more, however many people are left
    state = seen_by(olga, campaign, clock.now)
    assert name in state.changed
    assert state.standing is not ApprovalStanding.APPROVED
    assert state.estimate is not None
    campaign = current_session().get_one(Campaign, campaign.id)
    assert approval_guard.in_force(current_session(), campaign, state.estimate) is None


def _text(campaign: Campaign) -> None:
    current_session().get_one(SmsTemplate, campaign.template_id).text = "今天的新文字。"


def _rule(campaign: Campaign) -> None:
    current_session().get_one(Segment, campaign.segment_id).rule = {"all": []}


def _people(_campaign: Campaign) -> None:
    builders.contacts(PEOPLE // 2)


@pytest.mark.parametrize(
    ("change", "name"),
    [(_text, "text"), (_rule, "segment_rule"), (_people, "estimate")],
    ids=["text", "rule", "people"],
)
def test_what_stands_beside_the_draft_voids_it_too(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock, change: Callable[[Campaign], None], name: str
) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    change(campaign)
    current_session().commit()
    state = seen_by(olga, campaign, clock.now)
    assert (state.standing, list(state.changed)) == (ApprovalStanding.VOID, [name])
    with pytest.raises(Refusal):
        confirm(campaign, olga, clock.now)


def test_counting_a_segment_voids_nothing_and_storing_its_members_anew_does(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    for kind, standing in (("dynamic", ApprovalStanding.APPROVED), ("static", ApprovalStanding.VOID)):
        # given an approved campaign to a segment of this kind
        builders.contacts(PEOPLE)
        segment = segments.recompute(builders.segment(kind=kind).id, by=OPERATOR, now=clock.now)
        campaign = builders.campaign(created_by=olga.user_id, updated_by=olga.user_id, segment_id=segment.id)
        approved(campaign, olga, ann, clock.now)
        # when somebody has it computed again
        clock.forward(minutes=1)
        segments.recompute(segment.id, by=OPERATOR, now=clock.now)
        assert seen_by(olga, campaign, clock.now).standing is standing


def test_requests_that_were_overtaken_hide_none_that_waits(
    rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    # given two requests that an edit has overtaken, and a later one that waits
    segment = draft_by(olga).segment_id
    drafted = [builders.campaign(created_by=olga.user_id, segment_id=segment) for _ in range(3)]
    for campaign in drafted:
        campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    for campaign in drafted[:2]:
        edited = replace(drafts.draft_of(campaign), mapping=ANOTHER)
        drafts.save(campaign.id, campaign.version, edited, olga, clock.now)
    assert [line.campaign_id for line in campaign_approvals.waiting_for_approval(ann, 1)] == [drafted[2].id]


def test_a_new_price_voids_it(app: Flask, olga: Actor, ann: Actor, clock: FakeClock) -> None:
    approval_rule.save(ApprovalRule(True, None, Decimal(1), 10), OPERATOR, clock.now)
    channel = builders.channel(price=Decimal("0.05"))
    campaign = draft_by(olga, channel_id=channel.id)
    approved(campaign, olga, ann, clock.now)
    with writing() as session:
        session.get_one(ChannelRow, channel.id).price = Decimal("0.06")
    assert list(seen_by(olga, campaign, clock.now).changed) == ["estimate"]


def test_a_new_name_voids_nothing(rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    renamed = replace(drafts.draft_of(campaign), name="新名字")
    drafts.save(campaign.id, campaign.version, renamed, olga, clock.now)
    assert confirm(campaign, olga, clock.now) is Status.SENDING


def test_a_request_is_overtaken_by_an_edit(rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock) -> None:
    campaign = draft_by(olga)
    campaign_approvals.ask(campaign.id, campaign.version, olga, clock.now)
    edited = replace(drafts.draft_of(campaign), mapping=ANOTHER)
    drafts.save(campaign.id, campaign.version, edited, olga, clock.now)
    with pytest.raises(Refusal) as refused:
        decide(campaign, ann, clock.now)
    assert codes(refused) == ["approval_overtaken"]
    assert campaign_approvals.waiting_for_approval(ann) == []


@pytest.mark.parametrize("attempt", range(5))
def test_an_edit_in_the_last_millisecond_and_an_approval_never_both_count(
    app: Flask, rule: ApprovalRule, olga: Actor, ann: Actor, clock: FakeClock, attempt: int
) -> None:
    # given a request, an approver and an editor who press their buttons at the same moment
    campaign = draft_by(olga)
    campaign_id, version = campaign.id, campaign.version
    campaign_approvals.ask(campaign_id, version, olga, clock.now)
    edited = replace(drafts.draft_of(campaign), mapping=ANOTHER)
    request = request_of(campaign)
    approval_id, digest = request.id, request.digest
    current_session().commit()
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def together(act: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait()
            try:
                act()
            except Refusal:
                pass
            except Exception as error:
                errors.append(error)

    acts: list[Callable[[], object]] = [
        lambda: campaign_approvals.decide(approval_id, digest, Verdict.APPROVED, "", 1, ann, clock.now),
        lambda: drafts.save(campaign_id, version, edited, olga, clock.now),
    ]
    threads = [threading.Thread(target=together, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then whoever was first, what was edited is not approved
    assert not errors
    campaign = current_session().get_one(Campaign, campaign_id, populate_existing=True)
    assert campaign.mapping == ANOTHER
    with pytest.raises(Refusal) as refused:
        confirm(campaign, olga, clock.now)
    assert codes(refused) == ["approval_missing"]


# -- when the run begins ---------------------------------------------------------------------------------------------


def latest(campaign: Campaign) -> Run:
    run = runs.latest(current_session(), campaign.id)
    assert run is not None
    return the_run(run.id)


def test_a_run_larger_than_approved_is_held_before_its_first_text_until_it_is_approved(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    # given a campaign that was approved and confirmed, and people who come before it begins
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    confirm(campaign, olga, clock.now)
    builders.contacts(PEOPLE)
    # when its run begins
    work(app, clock)
    # then it is held, and an approver who looks at it lets it go on
    run = latest(campaign)
    assert (run.state, run.hold_reason, provider.sent.total()) == (RunState.HELD, HoldReason.APPROVAL, 0)
    (line,) = campaign_approvals.waiting_for_approval(ann)
    assert (line.run_id, line.estimate.messages) == (run.id, 2 * PEOPLE)
    with pytest.raises(Refusal):
        decide(campaign, olga, clock.now)
    held = campaign_approvals.of_run(run.id, ann)
    assert held is not None
    assert (held.approved and held.approved.messages, list(held.changed)) == (PEOPLE, ["estimate"])
    decide(campaign, ann, clock.now)
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.SENT, 2 * PEOPLE)


def test_an_approver_who_loses_the_role_before_the_run_begins_has_it_held(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    confirm(campaign, olga, clock.now)
    with writing() as session:
        session.get_one(User, ann.user_id).active = False
    work(app, clock)
    assert (latest(campaign).hold_reason, provider.sent.total()) == (HoldReason.APPROVAL, 0)


def test_a_rule_changed_between_confirmation_and_start_has_the_run_held(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    campaign = draft_by(olga)
    approved(campaign, olga, ann, clock.now)
    confirm(campaign, olga, clock.now)
    _rule(campaign)
    current_session().commit()
    work(app, clock)
    run = latest(campaign)
    assert (run.hold_reason, provider.sent.total()) == (HoldReason.APPROVAL, 0)
    held = campaign_approvals.of_run(run.id, ann)
    assert held is not None
    assert list(held.changed) == ["segment_rule"]


def test_a_campaign_that_was_small_when_confirmed_is_held_once_it_is_large(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, clock: FakeClock
) -> None:
    campaign = draft_by(olga, PEOPLE - 1)
    confirm(campaign, olga, clock.now)
    builders.contacts(1)
    work(app, clock)
    assert (latest(campaign).hold_reason, provider.sent.total()) == (HoldReason.APPROVAL, 0)


def test_a_recurring_campaign_is_approved_for_some_runs_and_held_after_them(
    app: Flask, rule: ApprovalRule, provider: FakeChannel, olga: Actor, ann: Actor, clock: FakeClock
) -> None:
    # given a daily campaign that was approved for two runs
    campaign = draft_by(olga, schedule=daily(clock.now).as_json(), recurring=True)
    approved(campaign, olga, ann, clock.now, n_runs=2)
    confirm(campaign, olga, clock.now)
    for _day in range(2):
        clock.forward(days=1)
        starting.start(campaign.id, clock.now)
        work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.WAITING, 2 * PEOPLE)
    # when it begins for the third time
    clock.forward(days=1)
    starting.start(campaign.id, clock.now)
    work(app, clock)
    # then it is held until it is approved for this run
    assert latest(campaign).hold_reason == HoldReason.APPROVAL
    decide(campaign, ann, clock.now)
    work(app, clock)
    assert (status(campaign), provider.sent.total()) == (Status.WAITING, 3 * PEOPLE)
