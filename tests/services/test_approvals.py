"""A run whose template is no longer what was confirmed: held, shown, accepted by a person or ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.run import RunState
from smsapp.domain.wording import Part, woven
from smsapp.services.sending import actions, opening, snapshot
from smsapp.services.templates import approvals, sms_templates
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import OPERATOR, confirmed, funnel, the_run, work
from tests.fakes import FakeChannel, FakeClock

NEW = "您的积分将于下月底到期，请及时使用。"


def reworded(campaign: Campaign, clock: FakeClock, **given: str) -> SmsTemplate:
    """Change the campaign's template as a sync would."""
    template = builders.existing(current_session().get(SmsTemplate, campaign.template_id, populate_existing=True))
    for name, value in given.items():
        setattr(template, name, value)
    template.updated_at = clock.now
    current_session().commit()
    return template


def held(app: Flask, clock: FakeClock, **given: str) -> tuple[Campaign, int, SmsTemplate]:
    """A campaign whose template changed between the confirmation and its slot."""
    builders.contacts(2)
    campaign, run_id = confirmed(clock.now)
    clock.forward(minutes=1)
    template = reworded(campaign, clock, **given)
    work(app, clock)
    return campaign, run_id, template


def codes(caught: pytest.ExceptionInfo[Refusal]) -> list[str]:
    return [problem.code for problem in caught.value.problems]


def test_the_difference_of_a_held_run_names_both_texts(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    _campaign, run_id, template = held(app, clock, text=NEW)
    difference = builders.existing(approvals.difference(the_run(run_id)))
    assert (difference.before, difference.now) == (
        "【青禾商城】您的积分将于本月底到期，请及时使用。",
        f"【青禾商城】{NEW}",
    )
    assert [text for part, text in difference.pieces if part is not Part.SAME] == ["本", "下"]
    assert (difference.audit, difference.mark, difference.problems) == ("approved", template.mark, [])
    assert provider.sent == {}


def test_the_new_text_is_sent_once_a_person_has_accepted_it(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id, template = held(app, clock, text=NEW)
    with pytest.raises(Refusal) as caught:
        actions.resume(run_id, OPERATOR, clock.now)
    assert codes(caught) == ["template_to_accept"]
    approvals.accept(run_id, template.mark, OPERATOR, clock.now)
    work(app, clock)
    assert set(provider.texts.values()) == {f"【青禾商城】{NEW}"}
    current_session().refresh(campaign)
    assert builders.existing(campaign.confirmed_template)["text"] == NEW


def test_a_text_that_changed_again_after_it_was_read_is_not_accepted(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id, template = held(app, clock, text=NEW)
    seen = template.mark
    clock.forward(minutes=1)
    reworded(campaign, clock, text="又一段")
    with pytest.raises(Conflict):
        approvals.accept(run_id, seen, OPERATOR, clock.now)
    work(app, clock)
    assert provider.sent == {}


@pytest.mark.parametrize("state", ["refused", "withdrawn", "pending"])
def test_what_the_provider_does_not_approve_cannot_be_accepted(
    app: Flask, provider: FakeChannel, clock: FakeClock, state: str
) -> None:
    _campaign, run_id, template = held(app, clock, audit=state, audit_reason="资质过期")
    assert the_run(run_id).hold_reason == "template_withdrawn"
    difference = builders.existing(approvals.difference(the_run(run_id)))
    assert (difference.audit, difference.reason, difference.is_reworded) == (state, "资质过期", False)
    acts: tuple[Callable[[], None], ...] = (
        lambda: approvals.accept(run_id, template.mark, OPERATOR, clock.now),
        lambda: actions.resume(run_id, OPERATOR, clock.now),
    )
    for act in acts:
        with pytest.raises(Refusal) as caught:
            act()
        assert codes(caught) == ["template_not_approved_now"]
    work(app, clock)
    assert provider.sent == {}


def test_a_template_that_is_approved_again_as_it_was_lets_the_run_simply_go_on(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id, _template = held(app, clock, audit="withdrawn")
    reworded(campaign, clock, audit="approved")
    assert builders.existing(approvals.difference(the_run(run_id))).is_settled
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert funnel(run_id).accepted == 2


def test_a_new_variable_nobody_has_mapped_cannot_be_accepted(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _campaign, run_id, template = held(app, clock, text="您的${points}积分即将到期。")
    with pytest.raises(Refusal) as caught:
        approvals.accept(run_id, template.mark, OPERATOR, clock.now)
    assert codes(caught) == ["variable_unmapped"]


def test_a_run_held_for_its_template_can_be_ended_and_nothing_has_left(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _campaign, run_id, _template = held(app, clock, text=NEW)
    actions.end(run_id, OPERATOR, clock.now)
    assert the_run(run_id).verdict == "stopped"
    assert provider.sent == {}


def under_way(app: Flask, provider: FakeChannel, clock: FakeClock) -> tuple[Campaign, int]:
    """A run of which one of two messages has left, and the rest waits for a paused run to go on."""
    builders.contacts(snapshot.SMALL_BATCH + 1)
    provider.per_request = 1
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    clock.forward(minutes=1)
    return campaign, run_id


def test_a_refusal_noticed_while_a_run_is_being_sent_holds_it(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = under_way(app, provider, clock)
    template = builders.existing(current_session().get(SmsTemplate, campaign.template_id))
    sms_templates.refuse(template.id, "资质过期", template.mark, OPERATOR, clock.now)
    assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, "template_withdrawn")
    work(app, clock)
    assert provider.sent == {}


def test_a_run_under_way_goes_on_with_the_accepted_text(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    campaign, run_id = under_way(app, provider, clock)
    template = reworded(campaign, clock, text=NEW)
    assert approvals.hold_running(current_session(), builders.existing(campaign.channel_id), clock.now) == 1
    current_session().commit()
    approvals.accept(run_id, template.mark, OPERATOR, clock.now)
    work(app, clock)
    assert set(provider.texts.values()) == {f"【青禾商城】{NEW}"}
    assert funnel(run_id).accepted == snapshot.SMALL_BATCH + 1


def test_a_run_under_way_cannot_take_a_text_with_other_variables(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = under_way(app, provider, clock)
    template = reworded(campaign, clock, text="您的${points}积分即将到期。")
    approvals.hold_running(current_session(), builders.existing(campaign.channel_id), clock.now)
    current_session().commit()
    with pytest.raises(Refusal) as caught:
        approvals.accept(run_id, template.mark, OPERATOR, clock.now)
    assert codes(caught) == ["template_variables_changed"]


def test_runs_with_the_approved_text_and_those_of_other_channels_are_not_held(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    campaign, run_id = under_way(app, provider, clock)
    assert approvals.hold_running(current_session(), builders.existing(campaign.channel_id), clock.now) == 0
    reworded(campaign, clock, text=NEW)
    assert approvals.hold_running(current_session(), builders.existing(campaign.channel_id) + 1, clock.now) == 0
    current_session().commit()
    assert the_run(run_id).state == RunState.SENDING


def test_two_wordings_woven_together_hold_both() -> None:
    pieces = woven("全场八折，拒收请回复R", "全场七折起，拒收请回复R")
    assert "".join(text for part, text in pieces if part is not Part.IN) == "全场八折，拒收请回复R"
    assert "".join(text for part, text in pieces if part is not Part.OUT) == "全场七折起，拒收请回复R"
