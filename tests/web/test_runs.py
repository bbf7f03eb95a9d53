"""Pausing, resuming and ending a run from its report."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.message import Status
from smsapp.domain.run import HoldReason, RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import AuditEntry
from tests import ledgers
from tests.pages import Pages


def test_an_operator_pauses_a_run_and_lets_it_go_on(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    operator = client.as_("operator", "en")

    paused = operator.post(f"/campaigns/{campaign.id}/runs/{made.id}/pause")
    state = current_session().get_one(Run, made.id, populate_existing=True).state
    going = operator.post(f"/campaigns/{campaign.id}/runs/{made.id}/resume")

    assert state == RunState.HELD
    assert "Paused." in paused.said()
    assert "3 at the provider, 5 not sent, 2 unconfirmed." in " ".join(paused.texts(".state")[0].split())
    assert paused.select("form[action$=resume]")
    assert "It goes on" in going.said()
    assert current_session().get_one(Run, made.id, populate_existing=True).state == RunState.SENDING
    assert [line.action for line in current_session().query(AuditEntry).order_by(AuditEntry.id)] == ["pause", "resume"]


def test_ending_says_first_what_it_cannot_take_back(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    operator = client.as_("operator", "en")

    asked = operator.get(f"/campaigns/{campaign.id}/runs/{made.id}/end")
    operator.post(f"/campaigns/{campaign.id}/runs/{made.id}/end")

    assert "End sending, cancel 5 messages" in asked.texts("form.confirm button")
    assert "22 have been accepted and 3 are at the provider" in asked.texts("form.confirm")[0]
    assert current_session().get_one(Run, made.id, populate_existing=True).state in {RunState.ENDING, RunState.DONE}


def test_an_ended_run_has_cancelled_what_had_not_left(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2), (Status.QUEUED, "", "", 5)], {})

    page = client.as_("operator", "en").post(f"/campaigns/{campaign.id}/runs/{made.id}/end")

    assert "2 went out, 5 were cancelled." in page.texts(".state")[0]


def test_an_approver_accepts_the_audience_that_was_shown(client: Pages) -> None:
    # Given a run that is held because 300 premium numbers joined after the review
    audience = {"target": 350, "planned": 350, "prefixes": {"+86138": 50, "+979": 300}}
    groups = [[True, True, "b", 300], [False, False, "", 50]]
    grown = {"now": audience, "before": 50, "countries": {"+979": 300}, "prefixes": {}, "groups": groups}
    campaign = ledgers.campaign()
    held: dict[str, Any] = {"state": RunState.HELD, "hold_reason": HoldReason.AUDIENCE_GREW, "drift": grown}
    made = ledgers.run(campaign, [], {}, **held, started_at=None)
    approver = client.as_("approver", "en")
    address = f"/campaigns/{campaign.id}/runs/{made.id}/accept-audience"

    report = approver.get(f"/campaigns/{campaign.id}/effect").get_text()
    asked = approver.get(address)
    outdated = approver.post(address, seen="another")
    accepted = approver.post(address, seen=asked.value("input[name=seen]"))

    assert "50 messages were reviewed, now there are 350: 300 more" in report
    assert "+979" in asked.get_text()
    assert "Accept and send 350 messages" in asked.texts("form button")
    assert "nothing was changed" in outdated.said()
    assert "These people are accepted" in accepted.said()
    assert current_session().get_one(Run, made.id, populate_existing=True).state == RunState.OPEN
    client.as_("viewer").post(address, status=403, seen="x")


@pytest.mark.parametrize("action", ["pause", "resume", "end"])
def test_who_comes_too_late_is_told_and_changes_nothing(client: Pages, action: str) -> None:
    campaign = ledgers.campaign(status="sent")
    over: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent", "finished_at": ledgers.OPENED}
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 1)], {}, **over)

    page = client.as_("operator", "en").post(f"/campaigns/{campaign.id}/runs/{made.id}/{action}")

    assert "moved on meanwhile" in page.said()
    assert not page.select(".state-actions")
    assert current_session().get_one(Run, made.id, populate_existing=True).state == RunState.DONE


def test_a_viewer_sees_no_buttons_and_may_not_press_them(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    page = client.as_("viewer").get(f"/campaigns/{campaign.id}/effect")
    client.as_("viewer").post(f"/campaigns/{campaign.id}/runs/{made.id}/pause", status=403)

    assert not page.select(".state-actions")


def test_a_run_of_another_campaign_is_not_touched(client: Pages) -> None:
    made = ledgers.run(ledgers.campaign())
    other = ledgers.campaign()

    client.as_("operator").post(f"/campaigns/{other.id}/runs/{made.id}/pause", status=404)

    assert current_session().get_one(Run, made.id, populate_existing=True).state == RunState.SENDING


def _sent() -> tuple[Campaign, Run]:
    campaign = ledgers.campaign(status="sent")
    lots = [(Status.DELIVERED, "", "", 2), (Status.UNDELIVERED, "switched_off", "MK:0010", 3)]
    ended: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent", "finished_at": ledgers.OPENED}
    made = ledgers.run(campaign, [*lots, (Status.REFUSED, "bad_number", "E", 1)], {}, **ended)
    template = current_session().get_one(SmsTemplate, campaign.template_id)
    campaign.confirmed_template = {"text": template.text, "signature": template.signature}
    current_session().commit()
    return campaign, made


def test_an_operator_sends_again_to_those_who_can_be_retried(client: Pages) -> None:
    campaign, made = _sent()
    operator = client.as_("operator", "en")

    effect = operator.get(f"/campaigns/{campaign.id}/effect")
    asked = operator.get(f"/campaigns/{campaign.id}/runs/{made.id}/again")
    done = operator.post(f"/campaigns/{campaign.id}/runs/{made.id}/again")
    late = operator.post(f"/campaigns/{campaign.id}/runs/{made.id}/again")

    assert "Send again to the 3 that can be retried" in effect.texts(".again a")
    assert "Send 3 again" in asked.texts("form.confirm button")
    assert "at once" in asked.texts(".facts dd")
    assert "written to again" in done.said()
    assert "Somebody was faster" in late.said()
    assert [run.repeats for run in current_session().query(Run).order_by(Run.id)] == [None, made.id]
    assert done.select_one("#runs .cell-note") is not None


def test_a_changed_template_is_said_before_anything_is_sent_again(client: Pages) -> None:
    campaign, made = _sent()
    campaign.confirmed_template = {"text": "another", "signature": ""}
    current_session().commit()

    asked = client.as_("operator", "en").get(f"/campaigns/{campaign.id}/runs/{made.id}/again")

    assert "not the one that was confirmed" in asked.said()
    assert not asked.select("form.confirm")
    assert not client.as_("viewer").get(f"/campaigns/{campaign.id}/effect").select(".again")
